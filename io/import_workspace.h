// Where an import keeps what is not finished.
#pragma once

#include <filesystem>
#include <string>

namespace alm::io {

// The directory an import is to make, without links and without a slash at its end. UserError when
// there is something there already.
std::filesystem::path checked_out(const std::string& out);

// Two directories beside `out`, gone when this ends: "<out>.tmp" for the files of the log, which is
// renamed when it is whole, and "<out>.spill" for rows set aside. What an import that was killed
// left there is cleared away; UserError where they hold anything else.
class ImportWorkspace {
 public:
  explicit ImportWorkspace(const std::filesystem::path& out);
  ~ImportWorkspace();
  ImportWorkspace(const ImportWorkspace&) = delete;
  ImportWorkspace& operator=(const ImportWorkspace&) = delete;

 private:
  std::filesystem::path unfinished_;
  std::filesystem::path spill_;
};

}  // namespace alm::io
