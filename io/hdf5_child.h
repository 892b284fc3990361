// HDF5's own code on files of strangers, in a process of its own: damaged metadata can make it
// crash, run forever or ask for all memory there is. Here that becomes an error about the file.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "io/child_process.h"
#include "io/file_index.h"

namespace alm::io {

// To be called first in main(), before MPI and threads. Where this process was started as a helper
// it does that work and returns the exit code main() must end with; else nullopt, and from then on
// this program starts itself as a helper where HDF5 must look at a file. A program that does not
// call this (fuzzers) runs HDF5 in its own process.
std::optional<int> serve_hdf5(int argc, char** argv);

// For loops over HDF5 calls that may take long together: in a helper it tells the owner, at most
// once a second, that work goes on. Elsewhere nothing.
void sign_of_life();

// A helper is started when first needed and serves one request after another. Not thread-safe.
class Hdf5Child {
 public:
  // A helper that says nothing for `patience`, and longer for a large file, counts as hanging.
  explicit Hdf5Child(std::chrono::milliseconds patience = std::chrono::seconds(30))
      : patience_(patience) {}

  // What read_file_index() says of the file. UserError also when HDF5 crashes or hangs over it.
  FileIndex read_index(const std::string& path, int64_t file_bytes);
  // Rows [first, last) of a data set by H5Dread, as its NumberType, into `out`. UserError naming
  // file, data set and rows where HDF5 cannot read them, crashes or hangs.
  void read_rows(const std::string& path, int64_t file_bytes, const DatasetIndex& set,
                 int64_t first, int64_t last, std::byte* out);

 private:
  bool ready();
  // The answer to a request about `subject`, which the errors name.
  std::string ask(const std::string& subject, int64_t file_bytes, const std::string& request);
  [[noreturn]] void blame(const std::string& subject, const std::string& how);

  std::chrono::milliseconds patience_;
  std::optional<ChildProcess> child_;
};

}  // namespace alm::io
