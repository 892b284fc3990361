// Looking into JSON that may be of an older run: a missing key, a null, a NaN or another type reads
// as "not there", never as an error.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/json.h"

namespace alm::report {

// The child of an object, or a shared null.
const io::Json& child(const io::Json& object, const std::string& key);
// child() along "a.b.c".
const io::Json& at_path(const io::Json& object, const std::string& path);

// A finite number; true and false are 1 and 0.
std::optional<double> number(const io::Json& value);
std::optional<double> number(const io::Json& object, const std::string& path);

// A string as it is; a number or boolean as text; a list joined by ", "; else "".
std::string text(const io::Json& value);
std::string text(const io::Json& object, const std::string& path);

// An option of config.json: at the top level or under "options", plain or as {"value": ..}.
std::string option(const io::Json& config, const std::string& name);

// [lo, hi], both finite.
std::optional<std::pair<double, double>> interval(const io::Json& value);

// [[x, y], ..]; pairs that are not two finite numbers are left out.
std::vector<std::pair<double, double>> points(const io::Json& value);

// Why `key` of `object` is null: `<key>_why`, `why` (a sentence or an object by key), or the why
// inside the value itself. "" when no reason was given.
std::string why(const io::Json& object, const std::string& key);

}  // namespace alm::report
