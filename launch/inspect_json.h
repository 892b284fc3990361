// The answer of alm inspect as JSON (docs/data_format.md lists the keys). The text for people is
// made of it.
#pragma once

#include <string>
#include <vector>

#include "io/json.h"
#include "io/log_reader.h"
#include "launch/inspect_census.h"

namespace alm {

// Kind, sizes, columns present and absent: what is known before any row is read.
io::Json schema_json(const io::Log& log);
// Adds what was counted. `report` is the sum over ranks.
void put_census(const Census& census, const io::ReadReport& report, io::Json& json);

// Reasons why the log cannot be used as it is, beside bad rows.
std::vector<std::string> problems_of(const Census& census, const io::ReadReport& report);

}  // namespace alm
