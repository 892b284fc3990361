#include "io/import_workspace.h"

#include <algorithm>
#include <array>
#include <system_error>

#include "kernels/base/check.h"

namespace alm::io {

namespace fs = std::filesystem;

namespace {

// Files of the log, and those of its two kinds of spill.
bool is_of_an_import(const fs::directory_entry& entry) {
  constexpr std::array kBeginnings = {"part-", "rows-", "labels-"};
  const std::string name = entry.path().filename().string();
  return std::any_of(kBeginnings.begin(), kBeginnings.end(),
                     [&](const char* with) { return name.starts_with(with); });
}

void require_no_strangers(const fs::path& folder) {
  if (!fs::exists(fs::symlink_status(folder))) return;
  const bool ours =
      fs::is_directory(fs::symlink_status(folder)) &&
      std::all_of(fs::directory_iterator(folder), fs::directory_iterator(), is_of_an_import);
  if (ours) return;
  throw UserError(folder.string() +
                  ": is in the way, an import keeps unfinished files there; move it elsewhere, or "
                  "give another --out");
}

}  // namespace

fs::path checked_out(const std::string& out) {
  fs::path path = fs::weakly_canonical(out);
  if (!path.has_filename()) path = path.parent_path();
  if (fs::exists(path) && !fs::is_directory(path)) {
    throw UserError(out + ": is no directory; --out names one");
  }
  if (fs::exists(path) && !fs::is_empty(path)) {
    throw UserError(out + ": already holds files; give --out a new directory");
  }
  return path;
}

ImportWorkspace::ImportWorkspace(const fs::path& out)
    : unfinished_(out.string() + ".tmp"), spill_(out.string() + ".spill") {
  for (const fs::path& folder : {unfinished_, spill_}) require_no_strangers(folder);
  for (const fs::path& folder : {unfinished_, spill_}) {
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
}

ImportWorkspace::~ImportWorkspace() {
  std::error_code ignored;
  for (const fs::path& folder : {unfinished_, spill_}) fs::remove_all(folder, ignored);
}

}  // namespace alm::io
