// Warnings of opening a log.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "io/file_index.h"

namespace alm::io {

// One warning for all files that share it.
class WarningList {
 public:
  void add(const std::string& path, const std::string& what);
  std::vector<std::string> lines() const;

 private:
  struct Entry {
    std::string path;
    std::string what;
    int64_t files;
  };
  std::map<std::string, size_t> places_;
  std::vector<Entry> entries_;
};

// What of a file deserves one: no checksums, layouts that are slow to read, many chunks.
void warn_of(const std::string& path, const FileIndex& index, WarningList& warnings);

}  // namespace alm::io
