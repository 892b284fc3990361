// Rows of a data set of any type of number, as the type that they are kept in.
#pragma once

#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "io/column_reader.h"
#include "io/file_index.h"
#include "io/loader_phases.h"
#include "kernels/base/check.h"
#include "kernels/base/clock.h"

namespace alm::io {

// Copies `count` stored values of type From to `out`; `misfit(i)` is called for those that do not
// fit.
template <class From, class To, class Misfit>
void convert_from(const std::byte* data, int64_t count, To* out, Misfit misfit) {
  const From* in = reinterpret_cast<const From*>(data);
  if constexpr (std::is_same_v<From, To>) {
    std::memcpy(out, in, static_cast<size_t>(count) * sizeof(To));
  } else {
    const auto fits = [](From value) {
      if constexpr (std::is_integral_v<From> && std::is_integral_v<To>) {
        return std::in_range<To>(value);
      } else if constexpr (std::is_floating_point_v<From> && std::is_floating_point_v<To>) {
        return std::isinf(static_cast<To>(value)) == std::isinf(value);
      } else {
        return std::is_integral_v<From>;  // integer outcomes; their values are checked later
      }
    };
    bool all = true;
    for (int64_t index = 0; index < count; ++index) {
      const bool good = fits(in[index]);
      out[index] = good ? static_cast<To>(in[index]) : To{};
      all &= good;
    }
    for (int64_t index = 0; !all && index < count; ++index) {
      if (!fits(in[index])) misfit(index);
    }
  }
}

template <class To, class Misfit>
void convert(NumberType type, const std::byte* data, int64_t count, To* out, Misfit misfit) {
  const auto from = [&]<class From>(From) { convert_from<From>(data, count, out, misfit); };
  if (type.kind == NumberKind::floating) {
    if constexpr (std::is_floating_point_v<To>) {
      return type.bytes == 4 ? from(float{}) : from(double{});
    } else {
      ALM_CHECK(false, "a float column among the integers");
    }
  }
  const bool is_signed = type.kind == NumberKind::signed_integer;
  switch (type.bytes) {
    case 1:
      return is_signed ? from(int8_t{}) : from(uint8_t{});
    case 2:
      return is_signed ? from(int16_t{}) : from(uint16_t{});
    case 4:
      return is_signed ? from(int32_t{}) : from(uint32_t{});
    default:
      return is_signed ? from(int64_t{}) : from(uint64_t{});
  }
}

template <class To>
bool is_type(NumberType type) {
  const NumberKind kind = std::is_floating_point_v<To> ? NumberKind::floating
                          : std::is_signed_v<To>       ? NumberKind::signed_integer
                                                       : NumberKind::unsigned_integer;
  return type.kind == kind && type.bytes == static_cast<int64_t>(sizeof(To));
}

// Reads rows [first, last) of a data set over `out`.
template <class To, class Misfit>
void read_rows(ColumnReader& reader, const FileIndex& index, int64_t slot, int64_t first,
               int64_t last, std::vector<To>& out, Misfit misfit) {
  const DatasetIndex& set = *index.sets[static_cast<size_t>(slot)];
  out.resize(static_cast<size_t>((last - first) * set.width));
  if (is_type<To>(set.type)) {
    reader.read(slot, first, last, reinterpret_cast<std::byte*>(out.data()));
    return;
  }
  for (int64_t row = first; row < last;) {
    const ColumnReader::Run run = reader.next(slot, row, last);
    const PhaseTimer timer(thread_phases().decode);
    const int64_t at = (row - first) * set.width;
    convert(set.type, run.data, run.rows * set.width, out.data() + at,
            [&](int64_t value) { misfit((at + value) / set.width); });
    row += run.rows;
  }
}

}  // namespace alm::io
