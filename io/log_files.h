// Which files a log is made of.
#pragma once

#include <string>
#include <vector>

namespace alm::io {

// The files that `paths` name (files, directories: all *.h5 inside, or patterns), in order of their
// names. UserError where nothing is found, a directory cannot be read or a file is met twice.
std::vector<std::string> list_log_files(const std::vector<std::string>& paths);

// Whether two files hold the same bytes. Reads both; UserError where one cannot be read.
bool same_bytes(const std::string& a, const std::string& b);

// The hash of the first and last bytes of a file, a part of what a log is.
std::string hash_of_ends(const std::string& path, int64_t bytes);

}  // namespace alm::io
