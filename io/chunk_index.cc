#include "io/chunk_index.h"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <limits>

#include "io/hdf5_child.h"
#include "io/hdf5_handle.h"
#include "kernels/base/check.h"

namespace alm::io {

namespace {

hid_t delivered_type(const NumberType& type) {
  if (type.kind == NumberKind::floating) {
    return type.bytes == 4 ? H5T_IEEE_F32LE : H5T_IEEE_F64LE;
  }
  const bool is_signed = type.kind == NumberKind::signed_integer;
  switch (type.bytes) {
    case 1:
      return is_signed ? H5T_STD_I8LE : H5T_STD_U8LE;
    case 2:
      return is_signed ? H5T_STD_I16LE : H5T_STD_U16LE;
    case 4:
      return is_signed ? H5T_STD_I32LE : H5T_STD_U32LE;
    default:
      return is_signed ? H5T_STD_I64LE : H5T_STD_U64LE;
  }
}

// Integers and floats as processors have them. HDF5 knows others, with the fields of a float
// anywhere or odd numbers of bits; those occur in damaged files only and have made its conversion
// crash.
bool is_usual(hid_t type) {
  const size_t bytes = H5Tget_size(type);
  const H5T_order_t order = H5Tget_order(type);
  if (order != H5T_ORDER_LE && order != H5T_ORDER_BE) return false;
  if (H5Tget_class(type) == H5T_INTEGER) {
    return (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8) && H5Tget_offset(type) == 0 &&
           H5Tget_precision(type) == 8 * bytes;
  }
  if (H5Tequal(type, H5T_NATIVE_LDOUBLE) > 0) return true;
  const size_t exponent = bytes == 2 ? 5 : bytes == 4 ? 8 : 11;
  const size_t mantissa = 8 * bytes - 1 - exponent;
  std::array<size_t, 5> fields{};
  return (bytes == 2 || bytes == 4 || bytes == 8) && H5Tget_offset(type) == 0 &&
         H5Tget_precision(type) == 8 * bytes && H5Tget_norm(type) == H5T_NORM_IMPLIED &&
         H5Tget_fields(type, &fields[0], &fields[1], &fields[2], &fields[3], &fields[4]) >= 0 &&
         fields == std::array<size_t, 5>{8 * bytes - 1, mantissa, exponent, 0, mantissa} &&
         H5Tget_ebias(type) == (size_t{1} << (exponent - 1)) - 1;
}

class Indexer {
 public:
  Indexer(hid_t file, const std::string& file_path, int64_t file_bytes, const std::string& path)
      : file_(file), file_path_(file_path), file_bytes_(static_cast<uint64_t>(file_bytes)) {
    index_.path = path;
  }

  DatasetIndex run() {
    set_ = Hdf5Id(H5Dopen2(file_, index_.path.c_str(), H5P_DEFAULT), H5Dclose);
    if (!set_) fail("cannot be opened as a data set: " + hdf5_error());
    read_type();
    read_shape();
    const Hdf5Id creation(H5Dget_create_plist(set_.get()), H5Pclose);
    read_filters(creation.get());
    if (index_.rows > 0) {
      read_layout(creation.get());
    } else {
      index_.layout = Layout::contiguous;  // nothing to read
      index_.detects_damage = true;
    }
    return std::move(index_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw UserError(file_path_ + ", data set " + index_.path + ": " + what);
  }

  void read_type() {
    const Hdf5Id type(H5Dget_type(set_.get()), H5Tclose);
    const H5T_class_t kind = H5Tget_class(type.get());
    const auto bytes = static_cast<int64_t>(H5Tget_size(type.get()));
    stored_bytes_ = static_cast<uint64_t>(bytes);
    const bool is_number = kind == H5T_INTEGER || kind == H5T_FLOAT;
    if (is_number && !is_usual(type.get())) {
      fail("its numbers are of no usual type: write integers of 1, 2, 4 or 8 bytes, or floats");
    }
    if (kind == H5T_INTEGER) {
      index_.type.kind = H5Tget_sign(type.get()) == H5T_SGN_NONE ? NumberKind::unsigned_integer
                                                                 : NumberKind::signed_integer;
      index_.type.bytes = bytes;
      native_ = H5Tequal(type.get(), delivered_type(index_.type)) > 0;
    } else if (kind == H5T_FLOAT) {
      index_.type = {NumberKind::floating, bytes <= 4 ? 4 : 8};
      native_ = H5Tequal(type.get(), delivered_type(index_.type)) > 0;
    } else {
      fail("holds neither integers nor floats");
    }
  }

  void read_shape() {
    const Hdf5Id space(H5Dget_space(set_.get()), H5Sclose);
    const int rank = H5Sget_simple_extent_ndims(space.get());
    if (rank != 1 && rank != 2) fail(format("has %d dimensions, 1 or 2 expected", rank));
    std::array<hsize_t, 2> size{0, 1};
    H5Sget_simple_extent_dims(space.get(), size.data(), nullptr);
    if (size[0] >= uint64_t{1} << 48 || size[1] >= uint64_t{1} << 24) {
      fail("is larger than anything this program can read");
    }
    index_.dimensions = rank;
    index_.rows = static_cast<int64_t>(size[0]);
    index_.width = static_cast<int64_t>(size[1]);
    if (index_.width == 0) fail("has no columns");
  }

  void read_filters(hid_t creation) {
    const int count = H5Pget_nfilters(creation);
    for (int stage = 0; stage < count; ++stage) {
      unsigned flags = 0;
      std::array<unsigned, 32> values{};
      size_t number = values.size();
      const H5Z_filter_t id = H5Pget_filter2(creation, static_cast<unsigned>(stage), &flags,
                                             &number, values.data(), 0, nullptr, nullptr);
      if (id < 0) fail("its filters cannot be read: " + hdf5_error());
      Filter filter{static_cast<uint32_t>(id)};
      if (id == H5Z_FILTER_SHUFFLE && number > 0) filter.element_bytes = values[0];
      index_.filters.push_back(filter);
    }
    decodable_ = can_decode(index_.filters);
    index_.detects_damage = detects_damage(index_.filters);
    for (const Filter& filter : index_.filters) {
      if (decodable_ || H5Zfilter_avail(static_cast<H5Z_filter_t>(filter.id)) > 0 ||
          can_decode(std::span(&filter, 1))) {
        continue;
      }
      const std::string name = filter_name(filter.id);
      fail(format(
          "uses filter %u (%s), which is not installed here: where it is, h5repack "
          "-f SHUF -f GZIP=1 -f FLET IN OUT writes the file with filters that every reader has",
          filter.id, name.empty() ? "unknown" : name.c_str()));
    }
  }

  void read_layout(hid_t creation) {
    hsize_t user_block = 0;
    const Hdf5Id file_creation(H5Fget_create_plist(file_), H5Pclose);
    H5Pget_userblock(file_creation.get(), &user_block);
    const bool plain = native_ && user_block == 0;
    const H5D_layout_t layout = H5Pget_layout(creation);
    if (layout == H5D_VIRTUAL || H5Pget_external_count(creation) > 0) return;
    const uint64_t bytes = plain_bytes();
    if (layout == H5D_CONTIGUOUS) {
      const haddr_t address = H5Dget_offset(set_.get());
      if (address == HADDR_UNDEF) fail("was never written");
      check_inside(address, bytes);
      if (!plain) return;
      index_.layout = Layout::contiguous;
      index_.address = address;
    } else if (layout == H5D_CHUNKED) {
      read_chunks(creation, plain);
    }
  }

  // What the rows take without compression. However they are stored, the file must be able to hold
  // them: memory goes with their number.
  uint64_t plain_bytes() const {
    const uint64_t row_bytes = stored_bytes_ * static_cast<uint64_t>(index_.width);
    const auto rows = static_cast<uint64_t>(index_.rows);
    const bool fits = rows <= std::numeric_limits<uint64_t>::max() / row_bytes;
    if (!fits || (decodable_ && !may_hold(index_.filters, 0, file_bytes_, rows * row_bytes))) {
      fail("has more rows than fit into the file: the file is truncated or damaged");
    }
    return rows * row_bytes;
  }

  void read_chunks(hid_t creation, bool plain) {
    std::array<hsize_t, 2> chunk{1, 1};
    H5Pget_chunk(creation, 2, chunk.data());
    index_.chunk_rows = static_cast<int64_t>(chunk[0]);
    const auto chunk_width = static_cast<int64_t>(chunk[1]);
    if (index_.chunk_rows < 1 || chunk_width < 1) fail("has chunks without rows");
    const int64_t down = (index_.rows + index_.chunk_rows - 1) / index_.chunk_rows;
    const int64_t across = (index_.width + chunk_width - 1) / chunk_width;
    const Hdf5Id space(H5Dget_space(set_.get()), H5Sclose);
    hsize_t count = 0;
    if (H5Dget_num_chunks(set_.get(), space.get(), &count) < 0) {
      fail("its chunks cannot be listed: " + hdf5_error());
    }
    const uint64_t wanted = static_cast<uint64_t>(down) * static_cast<uint64_t>(across);
    if (count < wanted) {
      fail(format("%lld of its %lld chunks were never written",
                  static_cast<long long>(wanted - count), static_cast<long long>(wanted)));
    }
    if (!plain || !decodable_ || chunk_width != index_.width) return;
    index_.chunks.resize(static_cast<size_t>(down));
    std::vector<bool> seen(static_cast<size_t>(down));
    for (hsize_t number = 0; number < count; ++number) {
      sign_of_life();
      std::array<hsize_t, 2> offset{};
      unsigned mask = 0;
      haddr_t address = 0;
      hsize_t bytes = 0;
      if (H5Dget_chunk_info(set_.get(), space.get(), number, offset.data(), &mask, &address,
                            &bytes) < 0) {
        fail("a chunk cannot be found: " + hdf5_error());
      }
      const uint64_t place = offset[0] / chunk[0];
      if (place >= seen.size() || seen[place]) fail("its chunk index is damaged");
      seen[place] = true;
      check_inside(address, bytes);
      index_.chunks[place] = {address, bytes, mask};
    }
    index_.layout = Layout::chunked;
  }

  void check_inside(uint64_t address, uint64_t bytes) const {
    if (address > file_bytes_ || bytes > file_bytes_ - address) {
      fail("its bytes lie outside the file: the file is truncated or damaged");
    }
  }

  hid_t file_;
  const std::string& file_path_;
  uint64_t file_bytes_;
  Hdf5Id set_;
  uint64_t stored_bytes_ = 0;  // of a number
  bool native_ = false;        // stored exactly as delivered
  bool decodable_ = false;     // we undo its filters ourselves
  DatasetIndex index_;
};

}  // namespace

DatasetIndex index_dataset(int64_t file, const std::string& file_path, int64_t file_bytes,
                           const std::string& path) {
  return Indexer(file, file_path, file_bytes, path).run();
}

bool read_by_hdf5(int64_t file, const DatasetIndex& index, int64_t first, int64_t last,
                  std::byte* out) {
  const Hdf5Id set(H5Dopen2(file, index.path.c_str(), H5P_DEFAULT), H5Dclose);
  if (!set) return false;
  const Hdf5Id space(H5Dget_space(set.get()), H5Sclose);
  const int rank = static_cast<int>(index.dimensions);
  // Not as it was indexed: HDF5 would read beyond the numbers below.
  if (rank < 1 || rank > 2 || H5Sget_simple_extent_ndims(space.get()) != rank) return false;
  const std::array<hsize_t, 2> start{static_cast<hsize_t>(first), 0};
  const std::array<hsize_t, 2> count{static_cast<hsize_t>(last - first),
                                     static_cast<hsize_t>(index.width)};
  if (H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(),
                          nullptr) < 0) {
    return false;
  }
  const Hdf5Id memory(H5Screate_simple(rank, count.data(), nullptr), H5Sclose);
  return H5Dread(set.get(), delivered_type(index.type), memory.get(), space.get(), H5P_DEFAULT,
                 out) >= 0;
}

}  // namespace alm::io
