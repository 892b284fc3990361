#include "engine/model/embedding.h"

#include "kernels/base/rng.h"

namespace alm {

void RowTable::initialise(uint64_t seed, double sd) {
  weights.resize(static_cast<size_t>(rows * width));
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
  for (int64_t use = 0; use < d_rows.rows; ++use) {
    gradient.insert(gradient.end(), d_rows.row(use), d_rows.row(use) + d_rows.cols);
  }
}

}  // namespace alm
