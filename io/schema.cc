#include "io/schema.h"

#include "kernels/base/text.h"

namespace alm::io {

namespace {

// Facts in a fixed order: name and value. The one description behind text and difference.
std::vector<std::pair<std::string, std::string>> facts(const LogSchema& schema) {
  std::vector<std::pair<std::string, std::string>> list;
  list.emplace_back("attribute clusters", format("%lld", static_cast<long long>(schema.clusters)));
  list.emplace_back("attribute reference_cluster",
                    schema.reference_cluster
                        ? format("%lld", static_cast<long long>(*schema.reference_cluster))
                        : "absent");
  list.emplace_back("the outcome", schema.outcome == OutcomeKind::binary ? "binary (integer)"
                                                                         : "continuous (float)");
  for_each_column([&](const auto& column) {
    const int64_t width = column.width(schema);
    list.emplace_back(
        std::string("data set ") + column.path,
        width == 0 ? "absent"
                   : format("%lld column%s", static_cast<long long>(width), width == 1 ? "" : "s"));
  });
  for_each_name_list([&](const char* path, auto names, auto) {
    list.emplace_back(
        std::string("data set ") + path,
        (schema.*names).empty() ? "absent" : format("[%s]", join(schema.*names, ", ").c_str()));
  });
  std::string leaky;
  for (const uint8_t mark : schema.proxy_leaky) leaky += format("%d ", mark);
  list.emplace_back("data set /meta/proxy_leaky", leaky.empty() ? "absent" : leaky);
  return list;
}

}  // namespace

std::string schema_text(const LogSchema& schema) {
  std::string text;
  for (const auto& [name, value] : facts(schema)) text += name + "=" + value + "\n";
  return text;
}

std::string schema_difference(const LogSchema& expected, const LogSchema& found) {
  const auto wanted = facts(expected);
  const auto given = facts(found);
  for (size_t index = 0; index < wanted.size(); ++index) {
    if (wanted[index].second == given[index].second) continue;
    return format("%s is %s, not %s", wanted[index].first.c_str(), given[index].second.c_str(),
                  wanted[index].second.c_str());
  }
  return "";
}

}  // namespace alm::io
