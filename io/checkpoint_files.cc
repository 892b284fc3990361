#include "io/checkpoint_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "io/digest.h"
#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace fs = std::filesystem;

namespace {

constexpr char kManifest[] = "manifest.json";
constexpr char kHeader[] = "header.json";
constexpr char kSchema[] = "alm-checkpoint/1";
constexpr char kUnfinished[] = ".tmp";
constexpr char kReplaced[] =
    ".old";  // a step written again: the earlier one until the new is in place

std::string step_name(int64_t step) {
  return "step-" + std::to_string(step);
}

// A directory of the root that holds, or was to hold, a step.
struct Found {
  int64_t step = 0;
  std::string suffix;  // "", kUnfinished or kReplaced
  fs::path path;
};

// Newest first; of one step the finished one first.
std::vector<Found> list_steps(const std::string& root) {
  std::vector<Found> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(root, error)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind("step-", 0) != 0) continue;
    const size_t digits_end = std::min(name.find_first_not_of("0123456789", 5), name.size());
    const std::string digits = name.substr(5, digits_end - 5);
    const std::string suffix = name.substr(digits_end);
    if (digits.empty() || digits.size() > 18) continue;
    if (!suffix.empty() && suffix != kUnfinished && suffix != kReplaced) continue;
    found.push_back({std::stoll(digits), suffix, entry.path()});
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    throw MachineError(
        format("%s: cannot list checkpoints: %s", root.c_str(), error.message().c_str()));
  }
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    return a.step != b.step ? a.step > b.step : a.suffix < b.suffix;
  });
  return found;
}

std::string sha256(std::span<const std::byte> bytes) {
  Sha256 digest;
  digest.update(bytes);
  return digest.hex();
}

void check_blob_name(const std::string& name) {
  const bool plain =
      !name.empty() && name[0] != '.' && name != kManifest && name != kHeader &&
      std::all_of(name.begin(), name.end(), [](unsigned char letter) {
        return std::isalnum(letter) != 0 || letter == '.' || letter == '_' || letter == '-';
      });
  ALM_CHECK(plain, "checkpoint blob name '%s'", name.c_str());
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) {
    throw MachineError(format("%s: cannot remove: %s", path.c_str(), error.message().c_str()));
  }
}

void rename_path(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) {
    throw MachineError(format("%s: cannot rename to %s: %s", from.c_str(), to.filename().c_str(),
                              error.message().c_str()));
  }
}

// Reads a file of known size and digest; UserError saying what is wrong with it.
std::vector<std::byte> read_verified(const fs::path& path, int64_t bytes,
                                     const std::string& digest) {
  std::error_code error;
  const uintmax_t size = fs::file_size(path, error);
  if (error) throw UserError(path.string() + ": missing from the checkpoint");
  if (size != static_cast<uintmax_t>(bytes)) {
    throw UserError(format("%s: damaged: %lld bytes, the manifest says %lld", path.c_str(),
                           static_cast<long long>(size), static_cast<long long>(bytes)));
  }
  std::vector<std::byte> content(static_cast<size_t>(bytes));
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(bytes));
  if (!file) throw UserError(path.string() + ": cannot be read");
  if (sha256(content) != digest) {
    throw UserError(path.string() + ": damaged: its SHA-256 is not the one of the manifest");
  }
  return content;
}

CheckpointBlobs load_directory(const fs::path& directory, int64_t step) {
  const fs::path manifest_path = directory / kManifest;
  const Json manifest = read_json(manifest_path.string());
  CheckpointBlobs loaded;
  bool has_header = false;
  try {
    if (manifest.at("schema") != kSchema || manifest.at("step") != step) {
      throw UserError(format("%s: damaged: not the manifest of step %lld", manifest_path.c_str(),
                             static_cast<long long>(step)));
    }
    for (const Json& entry : manifest.at("files")) {
      const std::string name = entry.at("name");
      if (name.empty() || name[0] == '.' || name.find('/') != name.npos) {
        throw UserError(manifest_path.string() + ": damaged: it names the file '" + name + "'");
      }
      std::vector<std::byte> content =
          read_verified(directory / name, entry.at("bytes"), entry.at("sha256"));
      if (name == kHeader) {
        const char* text = reinterpret_cast<const char*>(content.data());
        loaded.header = Json::parse(text, text + content.size());
        has_header = true;
      } else {
        loaded.blobs[name] = std::move(content);
      }
    }
    // Guards against a manifest that lost entries.
    if (manifest.at("count") != loaded.blobs.size() || !has_header) {
      throw UserError(manifest_path.string() + ": damaged: it does not list all files");
    }
  } catch (const Json::exception& error) {
    throw UserError(format("%s: damaged: %s", manifest_path.c_str(), error.what()));
  }
  return loaded;
}

// Removes what the new step made superfluous. Newer steps are left alone: they are damaged ones
// which the run passed over when it resumed, and will be written again.
void prune(const std::string& root, int64_t step, int64_t keep,
           const std::vector<int64_t>& pinned) {
  int64_t kept = 0;
  for (const Found& found : list_steps(root)) {
    if (!found.suffix.empty()) {
      remove_tree(found.path);
      continue;
    }
    if (found.step > step) continue;
    const bool is_pinned = std::find(pinned.begin(), pinned.end(), found.step) != pinned.end();
    if (kept++ >= keep && !is_pinned) remove_tree(found.path);
  }
}

}  // namespace

void save_checkpoint(const std::string& root, int64_t step, const CheckpointBlobs& blobs,
                     int64_t keep, const std::vector<int64_t>& pinned) {
  ALM_CHECK(step >= 0 && keep >= 1);
  const fs::path final_path = fs::path(root) / step_name(step);
  const fs::path unfinished = final_path.string() + kUnfinished;
  const fs::path replaced = final_path.string() + kReplaced;
  remove_tree(unfinished);
  std::error_code error;
  fs::create_directories(unfinished, error);
  if (error) {
    throw MachineError(
        format("%s: cannot create: %s", unfinished.c_str(), error.message().c_str()));
  }

  Json files = Json::array();
  const auto write = [&](const std::string& name, std::span<const std::byte> content) {
    write_file_synced((unfinished / name).string(), content);
    files.push_back({{"name", name}, {"bytes", content.size()}, {"sha256", sha256(content)}});
  };
  const std::string header = json_text(blobs.header, 2) + "\n";
  write(kHeader, std::as_bytes(std::span(header)));
  for (const auto& [name, content] : blobs.blobs) {
    check_blob_name(name);
    write(name, content);
  }
  const Json manifest = {
      {"schema", kSchema}, {"step", step}, {"count", blobs.blobs.size()}, {"files", files}};
  const std::string text = json_text(manifest, 2) + "\n";
  write_file_synced((unfinished / kManifest).string(), std::as_bytes(std::span(text)));
  sync_directory(unfinished.string());

  // A directory cannot replace another in one move; the old one steps aside first and is still
  // found by load_newest_checkpoint if we are killed in between.
  if (fs::exists(final_path)) {
    remove_tree(replaced);
    rename_path(final_path, replaced);
  }
  rename_path(unfinished, final_path);
  sync_directory(root);
  write_text_atomically((fs::path(root) / "latest").string(), step_name(step) + "\n");
  prune(root, step, keep, pinned);
}

std::optional<CheckpointBlobs> load_newest_checkpoint(const std::string& root,
                                                      std::vector<std::string>& notes) {
  for (const Found& found : list_steps(root)) {
    if (found.suffix == kUnfinished) {
      notes.push_back(found.path.string() + ": its writing was cut off; passed over");
      continue;
    }
    try {
      return load_directory(found.path, found.step);
    } catch (const UserError& error) {
      notes.push_back(std::string(error.what()) + "; this checkpoint is passed over");
    }
  }
  return std::nullopt;
}

CheckpointBlobs load_checkpoint(const std::string& root, int64_t step) {
  const fs::path path = fs::path(root) / step_name(step);
  try {
    return load_directory(path, step);
  } catch (const UserError&) {
    // The process may have been killed while it wrote the step again: see save_checkpoint.
    const fs::path replaced = path.string() + kReplaced;
    if (!fs::exists(replaced)) throw;
    return load_directory(replaced, step);
  }
}

}  // namespace alm::io
