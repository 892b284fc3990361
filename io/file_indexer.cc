#include "io/file_indexer.h"

#include <hdf5.h>

#include <algorithm>
#include <cstring>

#include "io/file_key.h"
#include "io/hdf5_handle.h"
#include "io/json.h"
#include "io/strange_names.h"
#include "kernels/base/check.h"

namespace alm::io {

namespace {

// Every cluster takes memory wherever effects are summed.
constexpr int64_t kMostClusters = int64_t{1} << 24;
constexpr int64_t kMostColumns = int64_t{1} << 16;
constexpr const char* kSchemaName = "alm-log/1";

class FileIndexer {
 public:
  explicit FileIndexer(const std::string& path) : path_(path) {
    const FileKey key = look_at(path);
    index_.bytes = key.bytes;
    const std::string& head = key.superblock;
    index_.old_format = !head.starts_with(kHdf5Signature) || head.size() <= 8 || head[8] < 2;
  }

  FileIndex run() {
    const Hdf5Session session;
    file_ = hdf5_open(path_);
    if (!file_) fail(why_not_open());
    read_attributes();
    read_sets();
    read_names();
    index_.notes = strange_names(file_.get());
    return std::move(index_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw UserError(path_ + ": " + one_line(what));
  }
  [[noreturn]] void fail(const std::string& set, const std::string& what) const {
    throw UserError(path_ + ", data set " + set + ": " + one_line(what));
  }

  std::string why_not_open() const {
    const std::string reason = hdf5_error();
    if (index_.bytes == 0) return "is empty (0 bytes)";
    if (has_hdf5_signature(path_)) {
      return "is HDF5, but cut off or damaged (" + reason + "): bring it again";
    }
    return "is no HDF5 file: tables come in with alm import";
  }

  bool has_attribute(const char* name) const {
    const htri_t found = H5Aexists(file_.get(), name);
    if (found < 0) fail(format("attribute %s cannot be looked up: ", name) + hdf5_error());
    return found > 0;
  }

  // Integers of any width, scalar or of one element.
  std::optional<int64_t> integer_attribute(const char* name) const {
    if (!has_attribute(name)) return std::nullopt;
    const Hdf5Id attribute(H5Aopen(file_.get(), name, H5P_DEFAULT), H5Aclose);
    const Hdf5Id type(H5Aget_type(attribute.get()), H5Tclose);
    const Hdf5Id space(H5Aget_space(attribute.get()), H5Sclose);
    int64_t value = 0;
    if (!attribute || H5Tget_class(type.get()) != H5T_INTEGER ||
        H5Sget_simple_extent_npoints(space.get()) != 1 ||
        H5Aread(attribute.get(), H5T_NATIVE_INT64, &value) < 0) {
      fail(format("attribute %s is not one integer", name));
    }
    return value;
  }

  // Reads texts, of fixed or variable size, through `read(memory type, buffer)`.
  template <class Read>
  std::optional<std::vector<std::string>> texts(hid_t type, hid_t space, Read read) const {
    if (H5Tget_class(type) != H5T_STRING) return std::nullopt;
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    if (count < 0 || count > (1 << 24)) return std::nullopt;
    std::vector<std::string> values(static_cast<size_t>(count));
    if (count == 0) return values;
    if (H5Tis_variable_str(type) > 0) {
      std::vector<char*> pointers(values.size(), nullptr);
      if (read(type, pointers.data()) < 0) return std::nullopt;
      for (size_t index = 0; index < values.size(); ++index) {
        if (pointers[index] != nullptr) values[index] = pointers[index];
      }
      H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data());
      return values;
    }
    const size_t size = H5Tget_size(type);
    if (size > (size_t{1} << 20) || size * values.size() > (size_t{1} << 30)) return std::nullopt;
    const char padding = H5Tget_strpad(type) == H5T_STR_SPACEPAD ? ' ' : '\0';
    std::vector<char> packed(size * values.size());
    if (read(type, packed.data()) < 0) return std::nullopt;
    for (size_t index = 0; index < values.size(); ++index) {
      const char* text = packed.data() + index * size;
      values[index].assign(text, ::strnlen(text, size));
      while (!values[index].empty() && values[index].back() == padding) values[index].pop_back();
    }
    return values;
  }

  void read_attributes() {
    constexpr const char* kAdvice = "not a log of schema alm-log/1 (docs/data_format.md)";
    if (!has_attribute("alm_schema")) {
      fail(std::string("attribute alm_schema is missing: ") + kAdvice);
    }
    const Hdf5Id attribute(H5Aopen(file_.get(), "alm_schema", H5P_DEFAULT), H5Aclose);
    const Hdf5Id type(H5Aget_type(attribute.get()), H5Tclose);
    const Hdf5Id space(H5Aget_space(attribute.get()), H5Sclose);
    const auto names = texts(type.get(), space.get(), [&](hid_t memory, void* out) {
      return H5Aread(attribute.get(), memory, out);
    });
    if (!names || names->size() != 1 || names->front() != kSchemaName) {
      fail(format("attribute alm_schema is '%s': %s",
                  names && names->size() == 1 ? names->front().c_str() : "no text", kAdvice));
    }
    LogSchema& schema = index_.schema;
    const auto clusters = integer_attribute("clusters");
    if (!clusters) fail("attribute clusters is missing: it is the number of clusters");
    schema.clusters = *clusters;
    if (schema.clusters < 1 || schema.clusters > kMostClusters) {
      fail(format("attribute clusters is %lld, but a log has 1 to %lld: number the clusters from 0",
                  static_cast<long long>(schema.clusters), static_cast<long long>(kMostClusters)));
    }
    schema.block_rows = integer_attribute("block_rows").value_or(0);
    if (schema.block_rows < 0) fail("attribute block_rows is negative");
    schema.reference_cluster = integer_attribute("reference_cluster");
    if (schema.reference_cluster &&
        (*schema.reference_cluster < 0 || *schema.reference_cluster >= schema.clusters)) {
      fail(format("attribute reference_cluster is %lld, but there are clusters 0 to %lld",
                  static_cast<long long>(*schema.reference_cluster),
                  static_cast<long long>(schema.clusters - 1)));
    }
  }

  // Asks for each group on the way first: H5Lexists fails where one is missing. Where it fails
  // otherwise the file is damaged, which must not pass for "absent".
  bool exists(const std::string& path) const {
    for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
      const std::string part = path.substr(0, slash);
      const htri_t found = H5Lexists(file_.get(), part.c_str(), H5P_DEFAULT);
      if (found < 0) fail(part, "cannot be looked up: " + hdf5_error());
      if (found == 0) return false;
      H5L_info_t link{};
      if (H5Lget_info(file_.get(), part.c_str(), &link, H5P_DEFAULT) < 0) {
        fail(part, "cannot be looked up: " + hdf5_error());
      }
      if (link.type == H5L_TYPE_EXTERNAL) {
        fail(part, "is a link into another file: copy it in (h5repack IN OUT)");
      }
      if (link.type == H5L_TYPE_SOFT &&
          H5Oexists_by_name(file_.get(), part.c_str(), H5P_DEFAULT) <= 0) {
        fail(part, "is a link that leads nowhere: remove it, or write what it stands for");
      }
      if (slash == std::string::npos) return true;
    }
  }

  // Refuses what holds no numbers of its own, in words for people.
  void check_set(const char* path) const {
    const Hdf5Id set(H5Dopen2(file_.get(), path, H5P_DEFAULT), H5Dclose);
    if (!set) fail(path, "cannot be opened as a data set: " + hdf5_error());
    H5O_info_t here{}, root{};
    if (H5Oget_info2(set.get(), &here, H5O_INFO_BASIC) < 0 ||
        H5Oget_info2(file_.get(), &root, H5O_INFO_BASIC) < 0) {
      fail(path, "cannot be looked up: " + hdf5_error());
    }
    if (here.fileno != root.fileno) {  // by a soft link to an external one
      fail(path, "is a link into another file: copy it in (h5repack IN OUT)");
    }
    const Hdf5Id creation(H5Dget_create_plist(set.get()), H5Pclose);
    if (H5Pget_layout(creation.get()) == H5D_VIRTUAL) {
      fail(path, "is virtual, its values lie in other files: read it with h5py and write it whole");
    }
    if (H5Pget_external_count(creation.get()) > 0) {
      fail(path, "keeps its values in another file: copy them in (h5repack IN OUT)");
    }
    const Hdf5Id type(H5Dget_type(set.get()), H5Tclose);
    switch (H5Tget_class(type.get())) {
      case H5T_STRING:
        fail(path, "holds texts: write integers (alm import makes ids of texts)");
      case H5T_ENUM:
        fail(path, "holds an enumeration (h5py's bool is one): write it as u1");
      case H5T_COMPOUND:
        fail(path, "holds records: write a data set for each column");
      default:
        return;  // other kinds are named by the index
    }
  }

  DatasetIndex read_set(const char* path) const {
    if (!exists(path)) {
      const std::string nearest = misspelt(file_.get(), path);
      fail(path, "is missing, but every log has it" +
                     (nearest.empty() ? " (docs/data_format.md)"
                                      : format("; is it the one called %s?", nearest.c_str())));
    }
    check_set(path);
    return index_dataset(file_.get(), path_, index_.bytes, path);
  }

  void require_rows(const DatasetIndex& set, int64_t rows, const char* why) const {
    if (set.rows == rows) return;
    fail(set.path, format("has %lld rows where %s asks for %lld", static_cast<long long>(set.rows),
                          why, static_cast<long long>(rows)));
  }

  template <class T>
  void require_type(const Column<T>& column, const DatasetIndex& set) const {
    const bool floating = set.type.kind == NumberKind::floating;
    if (column.slot == kOutcomeSlot || floating == std::is_floating_point_v<T>) return;
    fail(set.path, floating ? "holds floats, but integers belong there"
                            : "holds integers, but floats belong there");
  }

  void read_sets() {
    LogSchema& schema = index_.schema;
    const auto slot = [&](int64_t number) -> auto& {
      return index_.sets[static_cast<size_t>(number)];
    };
    for_each_column([&](const auto& column) {
      const bool optional = column.present != nullptr || column.columns != nullptr;
      if (optional && !exists(column.path)) return;
      auto& set = slot(column.slot);
      set = read_set(column.path);
      require_type(column, *set);
      const int64_t rank = column.is_matrix() ? 2 : 1;
      if (set->dimensions != rank) {
        fail(set->path,
             format("has %lld dimensions where %lld belong",
                    static_cast<long long>(set->dimensions), static_cast<long long>(rank)));
      }
      if (set->width > kMostColumns) {
        fail(set->path,
             format("has %lld columns, more than %lld", static_cast<long long>(set->width),
                    static_cast<long long>(kMostColumns)));
      }
      if (column.present != nullptr) schema.*column.present = true;
      if (column.columns != nullptr) schema.*column.columns = set->width;
      if (column.slot == kUserSlot) index_.rows = set->rows;
      if (column.slot == kClusterSlot) index_.touches = set->rows;
      const bool journey = column.scope == Scope::journey;
      require_rows(*set, journey ? index_.rows : index_.touches,
                   journey ? "/journey/user" : "/touch/cluster");
    });
    for_each_column([&](const auto& column) {  // one switch may stand for several data sets
      if (column.width(schema) > 0 && !slot(column.slot)) {
        fail(column.path, "is missing: the four data sets of /truth go together");
      }
    });
    schema.outcome = slot(kOutcomeSlot)->type.kind == NumberKind::floating ? OutcomeKind::continuous
                                                                           : OutcomeKind::binary;
    auto& offsets = slot(kTouchBeginSlot);
    offsets = read_set(kTouchBeginPath);
    if (offsets->type.kind == NumberKind::floating || offsets->dimensions != 1) {
      fail(kTouchBeginPath, "is not a row of integers");
    }
    require_rows(*offsets, index_.rows + 1, "one more than /journey/user");
  }

  // Texts of variable length lie in a heap of the file, which HDF5 gives no checksum; others are
  // covered by that of their chunks, or of the object header that holds them.
  bool names_are_checked(hid_t set, hid_t type) const {
    if (H5Tis_variable_str(type) > 0) return false;
    const Hdf5Id creation(H5Dget_create_plist(set), H5Pclose);
    if (H5Pget_layout(creation.get()) == H5D_COMPACT) return !index_.old_format;
    unsigned flags = 0;
    size_t values = 0;
    return H5Pget_filter_by_id2(creation.get(), H5Z_FILTER_FLETCHER32, &flags, &values, nullptr, 0,
                                nullptr, nullptr) >= 0;
  }

  void read_names() {
    LogSchema& schema = index_.schema;
    for_each_name_list([&](const char* path, auto names, auto width) {
      if (!exists(path)) return;
      const Hdf5Id set(H5Dopen2(file_.get(), path, H5P_DEFAULT), H5Dclose);
      if (!set) fail(path, "cannot be opened as a data set: " + hdf5_error());
      const Hdf5Id type(H5Dget_type(set.get()), H5Tclose);
      const Hdf5Id space(H5Dget_space(set.get()), H5Sclose);
      auto values = texts(type.get(), space.get(), [&](hid_t memory, void* out) {
        return H5Dread(set.get(), memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
      });
      if (!values) fail(path, "holds no readable texts: " + hdf5_error());
      if (!values->empty() && static_cast<int64_t>(values->size()) != schema.*width) {
        fail(path, format("has %zu names for %lld columns", values->size(),
                          static_cast<long long>(schema.*width)));
      }
      if (!names_are_checked(set.get(), type.get())) index_.unchecked_names.push_back(path);
      for (std::string& name : *values) name = valid_utf8(name);  // they go into checkpoints
      schema.*names = std::move(*values);
    });
    constexpr const char* kLeaky = "/meta/proxy_leaky";
    if (!exists(kLeaky)) return;
    const DatasetIndex set = index_dataset(file_.get(), path_, index_.bytes, kLeaky);
    require_rows(set, schema.proxies, "the number of proxies");
    const Hdf5Id opened(H5Dopen2(file_.get(), kLeaky, H5P_DEFAULT), H5Dclose);
    schema.proxy_leaky.resize(static_cast<size_t>(set.rows));
    if (set.dimensions != 1 || H5Dread(opened.get(), H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL,
                                       H5P_DEFAULT, schema.proxy_leaky.data()) < 0) {
      fail(kLeaky, "cannot be read: " + hdf5_error());
    }
  }

  const std::string& path_;
  Hdf5Id file_;
  FileIndex index_;
};

}  // namespace

FileIndex read_file_index(const std::string& path) {
  return FileIndexer(path).run();
}

}  // namespace alm::io
