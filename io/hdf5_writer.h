// Writes an HDF5 file of columns: latest format, Fletcher32 on every chunk, our own compression
// handed over as finished chunks. Equal calls give equal bytes. The file appears under its name
// only at finish().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/codec.h"

namespace alm::io {

enum class ValueType { u8, u32, u64, i64, f32 };
int64_t bytes_of(ValueType type);

// A column of `width` values a row; `matrix` makes it two-dimensional even at width 1.
struct ColumnPlan {
  std::string path;
  ValueType type = ValueType::f32;
  int64_t width = 1;
  bool matrix = false;
  std::optional<int64_t> rows = std::nullopt;  // known beforehand, or whatever comes
  int64_t expected_rows = 0;  // without `rows`: a generous guess, so that chunks stay few
  int64_t round_rows = 1;     // chunks of more rows than this hold a multiple of it
  bool shuffle = true;        // false where one value stands for most rows
};

// Memory: one plain chunk a column (1 MiB, more when a column would need over 1,024 chunks).
// MachineError when the disk refuses. Not thread-safe; several writers may work at once.
class Hdf5Writer {
 public:
  // Creates missing directories and "<path>.tmp".
  Hdf5Writer(const std::string& path, Codec codec);
  ~Hdf5Writer();
  void attribute(const std::string& name, const std::string& text);
  void attribute(const std::string& name, int64_t value);
  // Small data sets, whole: texts, or bytes.
  void texts(const std::string& path, const std::vector<std::string>& values);
  void bytes(const std::string& path, std::span<const uint8_t> values);
  // Returns the column's number for append(). The groups of its path are made.
  int64_t add(const ColumnPlan& plan);
  // Whole rows, as they lie in memory.
  void append(int64_t column, std::span<const std::byte> rows);
  // Every column with known rows must be full. Flushes, fsyncs and renames.
  void finish();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace alm::io
