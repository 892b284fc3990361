#include "engine/model/embedding.h"

#include <sys/mman.h>

#include "kernels/base/rng.h"

namespace alm {

void RowTable::allocate() {
  constexpr uintptr_t kLargePage = uintptr_t{2} << 20;
  const size_t count = static_cast<size_t>(rows * width);
  weights.reserve(count);
  const uintptr_t begin = reinterpret_cast<uintptr_t>(weights.data());
  const uintptr_t first = (begin + kLargePage - 1) / kLargePage * kLargePage;
  const uintptr_t last = (begin + count * sizeof(float)) / kLargePage * kLargePage;
  // Advice only: without it the same with more misses of the page table's cache.
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
  weights.resize(count);
}

void RowTable::initialise(uint64_t seed, double sd) {
  allocate();
  state.assign(static_cast<size_t>(rows), 0.0f);
  uint64_t salt = 0;
  for (const char letter : name) salt = salt * 131 + static_cast<unsigned char>(letter);
  // A sum of uniforms is normal enough for a start and ten times cheaper than a logarithm per
  // weight.
  for (int64_t row = 0; row < rows; ++row) {
    Rng rng(seed ^ (salt << 32), Stream::parameters, static_cast<uint64_t>(row));
    float* const at = &weights[static_cast<size_t>(row * width)];
    for (int64_t col = 0; col < width; ++col) {
      const uint32_t bits = rng.bits();
      const int32_t sum = static_cast<int32_t>((bits & 0xffff) + (bits >> 16)) - 0xffff;
      at[col] = static_cast<float>(sd * 2.449489742783178 * sum / 65536.0);
    }
  }
}

void RowUses::append(std::span<const int64_t> uses, Matrix<const float> d_rows) {
  rows.insert(rows.end(), uses.begin(), uses.end());
  const std::span<const float> numbers = flat(d_rows);
  gradient.insert(gradient.end(), numbers.begin(), numbers.end());
}

}  // namespace alm
