// Warnings of opening a log, in words.
#include "io/log_warnings.h"

#include "io/log_writer.h"
#include "kernels/base/text.h"

namespace alm::io {

void WarningList::add(const std::string& path, const std::string& what) {
  auto [place, fresh] = places_.try_emplace(what, entries_.size());
  if (fresh) entries_.push_back({path, what, 0});
  ++entries_[place->second].files;
}

std::vector<std::string> WarningList::lines() const {
  std::vector<std::string> lines;
  for (const Entry& entry : entries_) {
    lines.push_back(entry.path +
                    (entry.files > 1
                         ? format(" and %lld more: ", static_cast<long long>(entry.files - 1))
                         : ": ") +
                    entry.what);
  }
  return lines;
}

void warn_of(const std::string& path, const FileIndex& index, WarningList& warnings) {
  for (const std::string& note : index.notes) warnings.add(path, note);
  std::vector<std::string> unchecked = index.unchecked_names;
  std::vector<std::string> slow;
  for (const auto& set : index.sets) {
    if (!set || set->rows == 0) continue;
    if (!set->detects_damage) unchecked.push_back(set->path);
    if (set->layout == Layout::hdf5) slow.push_back(set->path);
    if (static_cast<int64_t>(set->chunks.size()) > kManyChunks) {
      warnings.add(
          path, format("data set %s has %zu chunks; above %lld the first opening is slow: "
                       "write larger chunks",
                       set->path.c_str(), set->chunks.size(), static_cast<long long>(kManyChunks)));
    }
  }
  // One line, however much of the file is unchecked.
  if (index.old_format || !unchecked.empty()) {
    std::vector<std::string> parts;
    if (index.old_format) parts.push_back("its structure (HDF5's old format)");
    if (!unchecked.empty()) parts.push_back(join(unchecked, ", "));
    warnings.add(path,
                 "no checksum over " + join(parts, " and ") +
                     ": damage there cannot be seen; write it anew with h5py "
                     "(libver=\"latest\", fletcher32=True) or by h5repack --latest -f FLET "
                     "IN OUT" +
                     (index.unchecked_names.empty() ? "" : ", names as texts of a fixed length"));
  }
  if (!slow.empty()) {
    warnings.add(path, "stored in a way that only HDF5 reads, slowly: " + join(slow, ", ") +
                           " (alm inspect gives advice)");
  }
}

}  // namespace alm::io
