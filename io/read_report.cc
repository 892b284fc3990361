#include "io/read_report.h"

#include <algorithm>

#include "io/json.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

void add_kind(std::vector<BadKind>& kinds, const BadKind& later) {
  const auto same = std::find_if(kinds.begin(), kinds.end(),
                                 [&](const BadKind& kind) { return kind.what == later.what; });
  if (same == kinds.end()) {
    kinds.push_back(later);
    return;
  }
  same->rows += later.rows;
  for (const std::string& example : later.examples) {
    if (same->examples.size() < BadKind::kMostExamples) same->examples.push_back(example);
  }
}

}  // namespace

void ReadReport::add(const ReadReport& later) {
  rows += later.rows;
  bad_rows += later.bad_rows;
  truncated_rows += later.truncated_rows;
  truncated_touches += later.truncated_touches;
  if (first_bad_row.empty()) first_bad_row = later.first_bad_row;
  for (const BadKind& kind : later.bad_kinds) add_kind(bad_kinds, kind);
}

std::string ReadReport::packed_kinds() const {
  Json list = Json::array();
  for (const BadKind& kind : bad_kinds) list.push_back({kind.what, kind.rows, kind.examples});
  return json_text(list);
}

void ReadReport::add_packed_kinds(const std::string& packed) {
  for (const Json& kind : Json::parse(packed)) {
    add_kind(bad_kinds, {kind[0].get<std::string>(), kind[1].get<int64_t>(),
                         kind[2].get<std::vector<std::string>>()});
  }
}

std::string bad_rows_text(const ReadReport& report) {
  if (report.bad_rows == 0) return "";
  std::vector<std::string> kinds;
  for (const BadKind& kind : report.bad_kinds) {
    kinds.push_back(with_commas(kind.rows) + " " + kind.what);
  }
  return format("%s bad row%s (%s); the first: %s", with_commas(report.bad_rows).c_str(),
                report.bad_rows == 1 ? "" : "s", join(kinds, ", ").c_str(),
                report.first_bad_row.c_str());
}

}  // namespace alm::io
