#include "io/index_sidecar.h"

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "io/digest.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

const std::string kMagic = "alm-index/3\n";
constexpr size_t kDigestBytes = 64;

// One list of fields serves both directions: Pack appends, Unpack reads the same fields back.
class Pack {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void field(const T& value) { out.append(reinterpret_cast<const char*>(&value), sizeof(T)); }
  void field(const std::string& text) {
    field(static_cast<uint64_t>(text.size()));
    out += text;
  }
  template <class T>
  void list(const std::vector<T>& values, auto each) {
    field(static_cast<uint64_t>(values.size()));
    for (const T& value : values) each(value);
  }
  template <class T>
  void optional(const std::optional<T>& value, auto each) {
    field(value.has_value());
    if (value) each(*value);
  }
  std::string out;
};

class Unpack {
 public:
  explicit Unpack(const std::string& bytes) : in_(bytes) {}
  void field(bool& value) {
    uint8_t byte = 0;
    field(byte);
    if (byte > 1) throw Damaged{};
    value = byte == 1;
  }
  template <class T>
  requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void field(T& value) {
    if (in_.size() - at_ < sizeof(T)) throw Damaged{};
    std::memcpy(&value, in_.data() + at_, sizeof(T));
    at_ += sizeof(T);
  }
  void field(std::string& text) {
    uint64_t size = 0;
    field(size);
    if (in_.size() - at_ < size) throw Damaged{};
    text.assign(in_, at_, size);
    at_ += size;
  }
  template <class T>
  void list(std::vector<T>& values, auto each) {
    uint64_t size = 0;
    field(size);
    if (in_.size() - at_ < size) throw Damaged{};  // every element takes a byte at least
    values.resize(size);
    for (T& value : values) each(value);
  }
  template <class T>
  void optional(std::optional<T>& value, auto each) {
    bool present = false;
    field(present);
    value.reset();
    if (present) each(value.emplace());
  }
  bool at_end() const { return at_ == in_.size(); }
  struct Damaged {};

 private:
  const std::string& in_;
  size_t at_ = 0;
};

template <class Archive, class Index>
void visit_schema(Archive& archive, Index& schema) {
  archive.field(schema.clusters);
  archive.field(schema.block_rows);
  archive.optional(schema.reference_cluster, [&](auto& value) { archive.field(value); });
  archive.field(schema.outcome);
  for_each_column([&](const auto& column) {
    if (column.present != nullptr) archive.field(schema.*column.present);
    if (column.columns != nullptr) archive.field(schema.*column.columns);
  });
  for_each_name_list([&](const char*, auto names, auto) {
    archive.list(schema.*names, [&](auto& name) { archive.field(name); });
  });
  archive.list(schema.proxy_leaky, [&](auto& mark) { archive.field(mark); });
}

template <class Archive, class Set>
void visit_set(Archive& archive, Set& set) {
  archive.field(set.path);
  archive.field(set.type.kind);
  archive.field(set.type.bytes);
  archive.field(set.dimensions);
  archive.field(set.rows);
  archive.field(set.width);
  archive.field(set.layout);
  archive.field(set.address);
  archive.field(set.chunk_rows);
  archive.list(set.filters, [&](auto& filter) {
    archive.field(filter.id);
    archive.field(filter.element_bytes);
  });
  archive.list(set.chunks, [&](auto& chunk) {
    archive.field(chunk.address);
    archive.field(chunk.bytes);
    archive.field(chunk.mask);
  });
  archive.field(set.detects_damage);
}

template <class Archive, class Index>
void visit_index(Archive& archive, Index& index) {
  archive.field(index.bytes);
  archive.field(index.rows);
  archive.field(index.touches);
  archive.field(index.old_format);
  archive.list(index.notes, [&](auto& note) { archive.field(note); });
  archive.list(index.unchecked_names, [&](auto& path) { archive.field(path); });
  visit_schema(archive, index.schema);
  for (auto& slot : index.sets) {
    archive.optional(slot, [&](auto& set) { visit_set(archive, set); });
  }
}

std::string key_text(const FileKey& key) {
  Pack pack;
  pack.field(key.bytes);
  pack.field(key.modified_ns);
  pack.field(key.superblock);
  return kMagic + pack.out;
}

std::string digest_of(const std::string& text) {
  Sha256 digest;
  digest.update(text);
  return digest.hex();
}

}  // namespace

std::string pack_index(const FileIndex& index) {
  Pack pack;
  visit_index(pack, index);
  return pack.out;
}

std::optional<FileIndex> unpack_index(const std::string& bytes) {
  try {
    Unpack unpack(bytes);
    FileIndex index;
    visit_index(unpack, index);
    if (unpack.at_end()) return index;
  } catch (const Unpack::Damaged&) {
  }
  return std::nullopt;
}

// Layout: magic and key, then the index, then the SHA-256 of both.
std::optional<FileIndex> load_sidecar(const std::string& path, const FileKey& key) {
  std::error_code ignored;
  // Opening a pipe would wait for its writer.
  if (!std::filesystem::is_regular_file(path, ignored)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::string head = key_text(key);
  if (text.size() < head.size() + kDigestBytes || !text.starts_with(head)) return std::nullopt;
  const std::string body = text.substr(0, text.size() - kDigestBytes);
  if (digest_of(body) != text.substr(body.size())) return std::nullopt;
  // Its checksum speaks of accidents; somebody may have made it up.
  std::optional<FileIndex> index = unpack_index(body.substr(head.size()));
  return index && index->bytes == key.bytes && is_consistent(*index) ? std::move(index)
                                                                     : std::nullopt;
}

void save_sidecar(const std::string& path, const FileKey& key, const FileIndex& index) {
  std::string text = key_text(key) + pack_index(index);
  text += digest_of(text);
  // Many ranks may do this at once: each writes its own file, the last rename stays. No fsync: a
  // half written one does not verify.
  const std::string temporary = format("%s.%ld.tmp", path.c_str(), static_cast<long>(::getpid()));
  std::ofstream file(temporary, std::ios::binary);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file || std::rename(temporary.c_str(), path.c_str()) != 0) std::remove(temporary.c_str());
}

}  // namespace alm::io
