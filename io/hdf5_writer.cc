#include "io/hdf5_writer.h"

#include <fcntl.h>
#include <hdf5.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "io/hdf5_handle.h"
#include "io/json.h"
#include "kernels/base/check.h"

namespace alm::io {

namespace {

constexpr int64_t kChunkBytes = int64_t{1} << 20;
constexpr int64_t kMaxChunks = 1024;

int64_t ceil_div(int64_t value, int64_t by) {
  return (value + by - 1) / by;
}

hid_t file_type(ValueType type) {
  switch (type) {
    case ValueType::u8:
      return H5T_STD_U8LE;
    case ValueType::u32:
      return H5T_STD_U32LE;
    case ValueType::u64:
      return H5T_STD_U64LE;
    case ValueType::i64:
      return H5T_STD_I64LE;
    case ValueType::f32:
      return H5T_IEEE_F32LE;
  }
  ALM_CHECK(false, "unknown value type");
}

int64_t chunk_rows_of(const ColumnPlan& plan) {
  const int64_t row_bytes = bytes_of(plan.type) * plan.width;
  const int64_t rows = plan.rows.value_or(plan.expected_rows);
  int64_t chunk = std::max(ceil_div(kChunkBytes, row_bytes), ceil_div(rows, kMaxChunks));
  if (chunk > plan.round_rows) chunk = ceil_div(chunk, plan.round_rows) * plan.round_rows;
  return plan.rows ? std::clamp<int64_t>(*plan.rows, 1, chunk) : chunk;
}

}  // namespace

int64_t bytes_of(ValueType type) {
  switch (type) {
    case ValueType::u8:
      return 1;
    case ValueType::u32:
    case ValueType::f32:
      return 4;
    case ValueType::u64:
    case ValueType::i64:
      return 8;
  }
  ALM_CHECK(false, "unknown value type");
}

class Hdf5Writer::Impl {
 public:
  Impl(const std::string& path, Codec codec)
      : path_(path), temporary_(path + ".tmp"), codec_(codec) {
    const std::filesystem::path parent = std::filesystem::path(path).parent_path();
    std::error_code error;
    if (!parent.empty()) std::filesystem::create_directories(parent, error);
    if (error) throw MachineError(parent.string() + ": cannot be created: " + error.message());
    const Hdf5Session session;
    const Hdf5Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_libver_bounds(access.get(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    H5Pset_file_locking(access.get(), false, true);
    const Hdf5Id creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
    H5Pset_obj_track_times(creation.get(), false);
    file_ = Hdf5Id(H5Fcreate(temporary_.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()),
                   H5Fclose);
    require(static_cast<bool>(file_), "create");
  }

  ~Impl() {
    if (finished_) return;
    const Hdf5Session session;
    for (State& state : columns_) state.set.reset();
    file_.reset();
    ::unlink(temporary_.c_str());
  }

  void attribute(const std::string& name, const std::string& text) {
    const Hdf5Session session;
    const Hdf5Id type = text_type(text.size());
    write_attribute(name, type.get(), text.c_str());
  }

  void attribute(const std::string& name, int64_t value) {
    const Hdf5Session session;
    write_attribute(name, H5T_STD_I64LE, &value);
  }

  void texts(const std::string& path, const std::vector<std::string>& values) {
    size_t longest = 0;
    for (const std::string& value : values) longest = std::max(longest, value.size());
    const Hdf5Session session;
    const Hdf5Id type = text_type(longest);
    const size_t size = H5Tget_size(type.get());
    std::vector<char> packed(size * values.size(), '\0');
    for (size_t index = 0; index < values.size(); ++index) {
      std::memcpy(packed.data() + index * size, values[index].data(), values[index].size());
    }
    write_whole(path, type.get(), values.size(), size, std::as_bytes(std::span(packed)));
  }

  void bytes(const std::string& path, std::span<const uint8_t> values) {
    const Hdf5Session session;
    write_whole(path, H5T_STD_U8LE, values.size(), 1, std::as_bytes(values));
  }

  int64_t add(const ColumnPlan& plan) {
    ALM_CHECK(plan.width >= 1 && (plan.matrix || plan.width == 1));
    State state;
    state.plan = plan;
    state.row_bytes = bytes_of(plan.type) * plan.width;
    state.chunk_rows = chunk_rows_of(plan);
    columns_.push_back(std::move(state));
    return static_cast<int64_t>(columns_.size()) - 1;
  }

  void append(int64_t column, std::span<const std::byte> rows) {
    State& state = columns_.at(static_cast<size_t>(column));
    ALM_CHECK(static_cast<int64_t>(rows.size()) % state.row_bytes == 0);
    const size_t full = static_cast<size_t>(state.chunk_rows * state.row_bytes);
    while (!rows.empty()) {
      const size_t take = std::min(full - state.pending.size(), rows.size());
      state.pending.insert(state.pending.end(), rows.begin(),
                           rows.begin() + static_cast<std::ptrdiff_t>(take));
      rows = rows.subspan(take);
      if (state.pending.size() == full) flush(state);
    }
  }

  void finish() {
    for (State& state : columns_) {
      const int64_t total =
          state.rows_written + static_cast<int64_t>(state.pending.size()) / state.row_bytes;
      ALM_CHECK(!state.plan.rows || total == *state.plan.rows,
                "%s holds %lld rows of %lld announced", state.plan.path.c_str(),
                static_cast<long long>(total), static_cast<long long>(*state.plan.rows));
      // A column that never filled a chunk is one chunk of its own size.
      if (!state.set && !state.plan.rows) {
        state.plan.rows = total;
        state.chunk_rows = std::max<int64_t>(total, 1);
      }
      if (!state.pending.empty()) flush(state);
      const Hdf5Session session;
      if (!state.set) create(state);
      require(state.set.reset(), "write");
    }
    {
      const Hdf5Session session;
      require(file_.reset(), "write");
    }
    const int file = ::open(temporary_.c_str(), O_RDONLY | O_CLOEXEC);
    const bool synced = file >= 0 && ::fsync(file) == 0;
    const int fault = errno;
    if (file >= 0) ::close(file);
    if (!synced) throw MachineError(temporary_ + ": cannot be flushed: " + std::strerror(fault));
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
      throw MachineError(path_ + ": cannot be renamed from .tmp: " + std::strerror(errno));
    }
    finished_ = true;
    const std::filesystem::path parent = std::filesystem::path(path_).parent_path();
    sync_directory(parent.empty() ? "." : parent.string());
  }

 private:
  struct State {
    ColumnPlan plan;
    int64_t row_bytes = 0;
    int64_t chunk_rows = 0;
    int64_t rows_written = 0;
    std::vector<std::byte> pending;
    Hdf5Id set;
  };

  void require(bool done, const char* what) const {
    if (!done) {
      throw MachineError(
          format("%s: cannot %s: %s", temporary_.c_str(), what, hdf5_error().c_str()));
    }
  }

  // Texts of fixed size: variable ones would go through HDF5's heap and its unused bytes.
  static Hdf5Id text_type(size_t size) {
    Hdf5Id type(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type.get(), std::max<size_t>(size, 1));
    H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
    H5Tset_cset(type.get(), H5T_CSET_UTF8);
    return type;
  }

  void write_attribute(const std::string& name, hid_t type, const void* value) {
    const Hdf5Id space(H5Screate(H5S_SCALAR), H5Sclose);
    const Hdf5Id attribute(
        H5Acreate2(file_.get(), name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT),
        H5Aclose);
    require(attribute && H5Awrite(attribute.get(), type, value) >= 0, "write an attribute");
  }

  Hdf5Id create_set(const std::string& path, hid_t type, hid_t space, hid_t creation) {
    make_groups(path);
    H5Pset_obj_track_times(creation, false);
    Hdf5Id set(
        H5Dcreate2(file_.get(), path.c_str(), type, space, H5P_DEFAULT, creation, H5P_DEFAULT),
        H5Dclose);
    require(static_cast<bool>(set), "create a data set");
    return set;
  }

  void make_groups(const std::string& path) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      const std::string group = path.substr(0, slash);
      if (H5Lexists(file_.get(), group.c_str(), H5P_DEFAULT) > 0) continue;
      const Hdf5Id creation(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
      H5Pset_obj_track_times(creation.get(), false);
      const Hdf5Id made(
          H5Gcreate2(file_.get(), group.c_str(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
          H5Gclose);
      require(static_cast<bool>(made), "create a group");
    }
  }

  std::vector<Filter> pipeline(const ColumnPlan& plan) const {
    return pipeline_of(codec_, bytes_of(plan.type), plan.shuffle);
  }

  static int deflate_level(int64_t element_bytes) {
    return element_bytes == 1 ? kByteDeflateLevel : kDeflateLevel;
  }

  static void set_pipeline(hid_t creation, const std::vector<Filter>& filters,
                           int64_t element_bytes) {
    for (const Filter& filter : filters) {
      const unsigned level = kZstdLevel;
      switch (filter.id) {
        case kFilterShuffle:
          H5Pset_shuffle(creation);
          break;
        case kFilterDeflate:
          H5Pset_deflate(creation, static_cast<unsigned>(deflate_level(element_bytes)));
          break;
        case kFilterFletcher32:
          H5Pset_fletcher32(creation);
          break;
        // Optional: HDF5 need not know the filter to store the chunks we compress.
        case kFilterZstd:
          H5Pset_filter(creation, kFilterZstd, H5Z_FLAG_OPTIONAL, 1, &level);
          break;
        default:
          H5Pset_filter(creation, filter.id, H5Z_FLAG_OPTIONAL, 0, nullptr);
      }
    }
  }

  void write_whole(const std::string& path, hid_t type, size_t count, size_t element,
                   std::span<const std::byte> values) {
    const hsize_t size = count;
    const Hdf5Id space(H5Screate_simple(1, &size, nullptr), H5Sclose);
    const Hdf5Id creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    if (count > 0) {
      H5Pset_chunk(creation.get(), 1, &size);
      set_pipeline(creation.get(), pipeline_of(Codec::none, static_cast<int64_t>(element)),
                   static_cast<int64_t>(element));
    }
    const Hdf5Id set = create_set(path, type, space.get(), creation.get());
    if (count == 0) return;
    require(H5Dwrite(set.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0, "write");
  }

  // Rows unknown beforehand: the set may grow to kMaxChunks chunks, a limit that keeps HDF5's plain
  // fixed array as its index.
  void create(State& state) {
    const int rank = state.plan.matrix ? 2 : 1;
    const auto width = static_cast<hsize_t>(state.plan.width);
    const int64_t now = state.plan.rows.value_or(state.chunk_rows);
    const int64_t limit = state.plan.rows.value_or(state.chunk_rows * kMaxChunks);
    const std::array<hsize_t, 2> size{static_cast<hsize_t>(now), width};
    const std::array<hsize_t, 2> most{static_cast<hsize_t>(limit), width};
    const std::array<hsize_t, 2> chunk{static_cast<hsize_t>(state.chunk_rows), width};
    const Hdf5Id space(H5Screate_simple(rank, size.data(), most.data()), H5Sclose);
    const Hdf5Id creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    if (now > 0) {
      H5Pset_chunk(creation.get(), rank, chunk.data());
      set_pipeline(creation.get(), pipeline(state.plan), bytes_of(state.plan.type));
    }
    state.set =
        create_set(state.plan.path, file_type(state.plan.type), space.get(), creation.get());
  }

  void flush(State& state) {
    const int64_t rows = static_cast<int64_t>(state.pending.size()) / state.row_bytes;
    const auto plain = static_cast<size_t>(state.chunk_rows * state.row_bytes);
    std::byte* chunk = chunk_.resize(plain);
    std::memcpy(chunk, state.pending.data(), state.pending.size());
    std::memset(chunk + state.pending.size(), 0, plain - state.pending.size());
    state.pending.clear();
    const uint32_t mask = encode_worthwhile(pipeline(state.plan), chunk_, scratch_,
                                            deflate_level(bytes_of(state.plan.type)));

    const Hdf5Session session;
    if (!state.set) create(state);
    const int64_t total = state.rows_written + rows;
    if (!state.plan.rows) {
      if (total > state.chunk_rows * kMaxChunks) {
        throw UserError(format("%s: %s would need more than %lld chunks: write fewer rows per file",
                               path_.c_str(), state.plan.path.c_str(),
                               static_cast<long long>(kMaxChunks)));
      }
      // Only ever grown, and to the exact end before the last chunk is written: HDF5 never touches
      // a chunk itself, so it needs no decoder.
      const std::array<hsize_t, 2> size{static_cast<hsize_t>(total),
                                        static_cast<hsize_t>(state.plan.width)};
      require(H5Dset_extent(state.set.get(), size.data()) >= 0, "extend a data set");
    }
    const std::array<hsize_t, 2> offset{static_cast<hsize_t>(state.rows_written), 0};
    require(H5Dwrite_chunk(state.set.get(), H5P_DEFAULT, mask, offset.data(), chunk_.size(),
                           chunk_.data()) >= 0,
            "write a chunk");
    state.rows_written = total;
  }

  std::string path_;
  std::string temporary_;
  Codec codec_;
  Hdf5Id file_;
  std::vector<State> columns_;
  Buffer chunk_;
  Buffer scratch_;
  bool finished_ = false;
};

Hdf5Writer::Hdf5Writer(const std::string& path, Codec codec)
    : impl_(std::make_unique<Impl>(path, codec)) {}
Hdf5Writer::~Hdf5Writer() = default;
void Hdf5Writer::attribute(const std::string& name, const std::string& text) {
  impl_->attribute(name, text);
}
void Hdf5Writer::attribute(const std::string& name, int64_t value) {
  impl_->attribute(name, value);
}
void Hdf5Writer::texts(const std::string& path, const std::vector<std::string>& values) {
  impl_->texts(path, values);
}
void Hdf5Writer::bytes(const std::string& path, std::span<const uint8_t> values) {
  impl_->bytes(path, values);
}
int64_t Hdf5Writer::add(const ColumnPlan& plan) {
  return impl_->add(plan);
}
void Hdf5Writer::append(int64_t column, std::span<const std::byte> rows) {
  impl_->append(column, rows);
}
void Hdf5Writer::finish() {
  impl_->finish();
}

}  // namespace alm::io
