// Counter-based random numbers: value = f(seed, stream, index, draw). Any rank can make any number,
// and no state is kept between rows. Philox4x32-10 (Salmon et al., SC'11).
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace alm {

// What a stream is for; keeps the uses of one seed independent.
enum class Stream : uint32_t {
  journey = 1,
  touch,
  parameters,
  weights,
  shuffle_blocks,
  shuffle_rows,
  test,
  bootstrap,
  permutation,
  scores,
  removal,
  mediators,
};

inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter,
                                      std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t left = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t right = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {
        static_cast<uint32_t>(right >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(right),
        static_cast<uint32_t>(left >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(left)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

// A short sequence of draws for one (seed, stream, index). Cheap to make; copy freely.
// Not thread-safe; make one per row.
class Rng {
 public:
  Rng(uint64_t seed, Stream stream, uint64_t index)
      : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)},
        counter_{static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), 0,
                 static_cast<uint32_t>(stream)} {}

  uint32_t bits() {
    if (used_ == 4) {
      block_ = philox(counter_, key_);
      ++counter_[2];
      used_ = 0;
    }
    return block_[static_cast<size_t>(used_++)];
  }
  uint64_t bits64() {
    const uint64_t high = bits();
    return (high << 32) | bits();
  }
  // Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(bits64() >> 11) * 0x1p-53; }
  // Standard normal (Box-Muller, one of the pair).
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(6.283185307179586476925286766559 * uniform());
  }
  bool bernoulli(double probability) { return uniform() < probability; }
  // Uniform in [0, n) without bias worth naming (64-bit multiply-shift). n >= 1.
  uint64_t below(uint64_t n) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(bits64()) * n) >> 64);
  }

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
};

}  // namespace alm
