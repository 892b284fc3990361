#include "engine/report/fields.h"

#include <cmath>

#include "kernels/base/text.h"

namespace alm::report {

const io::Json& child(const io::Json& object, const std::string& key) {
  static const io::Json nothing;
  if (!object.is_object()) return nothing;
  const auto found = object.find(key);
  return found == object.end() ? nothing : *found;
}

const io::Json& at_path(const io::Json& object, const std::string& path) {
  const io::Json* here = &object;
  for (const std::string& key : split(path, '.')) here = &child(*here, key);
  return *here;
}

std::optional<double> number(const io::Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? 1.0 : 0.0;
  if (!value.is_number()) return std::nullopt;
  const double result = value.get<double>();
  return std::isfinite(result) ? std::optional<double>(result) : std::nullopt;
}

std::optional<double> number(const io::Json& object, const std::string& path) {
  return number(at_path(object, path));
}

std::string text(const io::Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_number_unsigned()) return std::to_string(value.get<uint64_t>());
  if (value.is_number_integer()) return std::to_string(value.get<int64_t>());
  if (const auto real = number(value)) return format("%g", *real);
  std::string all;
  if (value.is_array()) {
    for (const io::Json& item : value) {
      const std::string one = text(item);
      if (!one.empty()) all += (all.empty() ? "" : ", ") + one;
    }
  }
  return all;
}

std::string text(const io::Json& object, const std::string& path) {
  return text(at_path(object, path));
}

std::string option(const io::Json& config, const std::string& name) {
  for (const io::Json* place : {&child(child(config, "options"), name), &child(config, name)}) {
    const std::string plain = text(*place);
    if (!plain.empty()) return plain;
    for (const char* key : {"value", "values"}) {
      const std::string inside = text(*place, key);
      if (!inside.empty()) return inside;
    }
  }
  return "";
}

std::optional<std::pair<double, double>> interval(const io::Json& value) {
  if (!value.is_array() || value.size() != 2) return std::nullopt;
  const auto low = number(value[0]);
  const auto high = number(value[1]);
  if (!low || !high) return std::nullopt;
  return std::pair(*low, *high);
}

std::vector<std::pair<double, double>> points(const io::Json& value) {
  std::vector<std::pair<double, double>> all;
  if (!value.is_array()) return all;
  for (const io::Json& item : value) {
    if (const auto point = interval(item)) all.push_back(*point);
  }
  return all;
}

std::string why(const io::Json& object, const std::string& key) {
  const io::Json& reason = child(object, "why");
  for (const io::Json* place : {&child(object, key + "_why"), &child(child(object, key), "why"),
                                &child(reason, key), &reason}) {
    if (place->is_string()) return place->get<std::string>();
  }
  return "";
}

}  // namespace alm::report
