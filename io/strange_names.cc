#include "io/strange_names.h"

#include <hdf5.h>

#include <algorithm>

#include "io/json.h"
#include "io/schema.h"
#include "kernels/base/nearest_name.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

// A group of very many members is no log; their names are not wanted.
constexpr size_t kMostMembers = 1000;
constexpr const char* kGroups[] = {"/journey", "/touch", "/meta", "/truth"};

std::vector<std::string> known_sets() {
  std::vector<std::string> paths{kTouchBeginPath, "/meta/proxy_leaky"};
  for_each_column([&](const auto& column) { paths.push_back(column.path); });
  for_each_name_list([&](const char* path, auto, auto) { paths.push_back(path); });
  return paths;
}

bool is_known(const std::vector<std::string>& known, const std::string& name) {
  return std::find(known.begin(), known.end(), name) != known.end();
}

std::vector<std::string> members(hid_t file, const std::string& group) {
  std::vector<std::string> names;
  if (H5Lexists(file, group.c_str(), H5P_DEFAULT) <= 0) return names;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    auto& list = *static_cast<std::vector<std::string>*>(out);
    list.emplace_back(name);
    return list.size() < kMostMembers ? 0 : 1;
  };
  H5Literate_by_name(file, group.c_str(), H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names,
                     H5P_DEFAULT);
  for (std::string& name : names) name.insert(0, group + "/");
  return names;
}

std::vector<std::string> attributes(hid_t file) {
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    auto& list = *static_cast<std::vector<std::string>*>(out);
    list.emplace_back(name);
    return list.size() < kMostMembers ? 0 : 1;
  };
  H5Aiterate2(file, H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names);
  return names;
}

// Among names of the same group, by what follows the group.
std::string nearest_in_group(const std::string& path, const std::vector<std::string>& known) {
  const size_t cut = path.find('/', 1) + 1;
  std::vector<std::string> ends;
  for (const std::string& name : known) {
    if (name.starts_with(path.substr(0, cut))) ends.push_back(name.substr(cut));
  }
  const std::string nearest = nearest_name(path.substr(cut), ends);
  return nearest.empty() ? "" : path.substr(0, cut) + nearest;
}

std::string question(const std::string& nearest) {
  return nearest.empty() ? "" : format("; was %s meant?", nearest.c_str());
}

}  // namespace

std::vector<std::string> strange_names(int64_t file) {
  std::vector<std::string> lines;
  const std::vector<std::string> known = known_sets();
  for (const char* group : kGroups) {
    for (const std::string& path : members(file, group)) {
      if (is_known(known, path)) continue;
      lines.push_back("data set " + one_line(path) +
                      " is not one that a log has, so nothing reads it" +
                      question(nearest_in_group(path, known)));
    }
  }
  const std::vector<std::string> known_attributes{"alm_schema", "clusters", "block_rows",
                                                  "reference_cluster"};
  for (const std::string& name : attributes(file)) {
    if (is_known(known_attributes, name)) continue;
    const std::string hint = question(nearest_name(name, known_attributes));
    // Attributes of one's own do no harm; only a misspelling does.
    if (!hint.empty()) {
      lines.push_back("attribute " + one_line(name) + " is not one that a log has" + hint);
    }
  }
  return lines;
}

std::string misspelt(int64_t file, const std::string& path) {
  const std::vector<std::string> known = known_sets();
  std::vector<std::string> strangers;
  for (const std::string& name : members(file, path.substr(0, path.find('/', 1)))) {
    if (!is_known(known, name)) strangers.push_back(name);
  }
  return one_line(nearest_in_group(path, strangers));
}

}  // namespace alm::io
