#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "io/import.h"
#include "kernels/base/check.h"

namespace alm::io {

namespace {

namespace fs = std::filesystem;

bool is_table_name(const fs::path& path) {
  fs::path name = path.filename();
  if (name.extension() == ".gz" || name.extension() == ".zst") name = name.stem();
  const std::string end = name.extension().string();
  return end == ".csv" || end == ".tsv" || end == ".tab" || end == ".txt";
}

std::vector<std::string> tables_in(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> found;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (is_table_name(entry->path()) && !entry->is_directory(ignored)) {
      found.push_back(entry->path().string());
    }
  }
  if (error) throw UserError(folder + ": the directory cannot be read: " + error.message());
  if (found.empty()) {
    throw UserError(folder +
                    ": the directory holds no table (.csv, .tsv, .tab or .txt, also .gz or .zst)");
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::string> matches_of(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (size_t index = 0; index < found.gl_pathc; ++index) {
      paths.push_back(found.gl_pathv[index]);
    }
  }
  ::globfree(&found);
  if (paths.empty()) throw UserError(pattern + ": no file matches");
  return paths;
}

}  // namespace

std::vector<std::string> expand_tables(const std::vector<std::string>& paths) {
  std::vector<std::string> tables;
  for (const std::string& path : paths) {
    std::error_code ignored;
    std::vector<std::string> more;
    if (fs::is_directory(path, ignored)) {
      more = tables_in(path);
    } else if (!fs::exists(path, ignored) && path.find_first_of("*?[") != path.npos) {
      more = matches_of(path);
    } else {
      more = {path};
    }
    tables.insert(tables.end(), more.begin(), more.end());
  }
  std::set<std::string> seen;
  for (const std::string& table : tables) {
    std::error_code ignored;
    if (!seen.insert(fs::weakly_canonical(table, ignored).string()).second) {
      throw UserError(table + ": is given twice; its rows would count double");
    }
  }
  return tables;
}

}  // namespace alm::io
