// Passes over whole ranges: sizes, exact integer sums, sums of squares. Memory-bound.
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/cpu/level.h"
#include "kernels/cpu/maths.h"
#include "kernels/cpu/simd.h"

namespace alm::ALM_SIMD {

// |x| as an integer has the order of |x|, with every NaN above infinity.
void max_abs(Queue&, const MaxAbs& a) {
  constexpr int32_t kInfinity = 0x7f800000;
  const float* __restrict x = a.x.data();
  int32_t most = std::bit_cast<int32_t>(*a.largest) & 0x7fffffff;
  for (int64_t i = 0; i < std::ssize(a.x); ++i) {
    const int32_t size = std::bit_cast<int32_t>(x[i]) & 0x7fffffff;
    most = size > most ? size : most;
  }
  *a.largest = std::bit_cast<float>(most > kInfinity ? kInfinity : most);
}

// 2^exponent, which is far from the ends of double's range.
static double power_of_two(int exponent) {
  return std::bit_cast<double>(static_cast<uint64_t>(1023 + exponent) << 52);
}

// The nearest whole number, ties to even; |value| < 2^62 and of 24 significant bits. Compilers do
// not vectorise a conversion that rounds, and below avx512, where it is spelled out, there is none
// to vectorise it to. Below 2^51 a double is rounded by adding kMagic, whose last place is worth
// one: the low bits of the sum are the whole number. Larger ones go in two digits, of which only
// the lower one is ever rounded.
static int64_t rounded(double value) {
  constexpr double kMagic = 0x1.8p52;
  constexpr int64_t kMagicBits = std::bit_cast<int64_t>(kMagic);
  const double upper = value * 0x1p-28 + kMagic;
  const double lower = (value - (upper - kMagic) * 0x1p28) + kMagic;
  const uint64_t digit = static_cast<uint64_t>(std::bit_cast<int64_t>(upper) - kMagicBits);
  return static_cast<int64_t>(digit << 28) + (std::bit_cast<int64_t>(lower) - kMagicBits);
}

void quantise(Queue&, const Quantise& a) {
  ALM_CHECK(a.x.size() == a.sum.size());
  const double scale = power_of_two(a.shift);
  const float* __restrict x = a.x.data();
  int64_t* __restrict sum = a.sum.data();
  const int64_t count = std::ssize(a.x);
  int64_t i = 0;
#if defined(__AVX512DQ__)
  constexpr __mmask8 kAll = 0xff;
  for (; i + 8 <= count; i += 8) {
    const __m512d scaled =
        _mm512_mul_pd(_mm512_maskz_cvtps_pd(kAll, _mm256_loadu_ps(x + i)), _mm512_set1_pd(scale));
    _mm512_storeu_si512(sum + i, _mm512_add_epi64(_mm512_loadu_si512(sum + i),
                                                  _mm512_maskz_cvtpd_epi64(kAll, scaled)));
  }
#endif
  for (; i < count; ++i) sum[i] += rounded(static_cast<double>(x[i]) * scale);
}

void dequantise(Queue&, const Dequantise& a) {
  ALM_CHECK(a.x.size() == a.sum.size());
  const double scale = power_of_two(-a.shift);
  const int64_t* __restrict sum = a.sum.data();
  float* __restrict x = a.x.data();
  // Integer to float rounds once (by way of double it would twice); the power of two is exact.
  for (int64_t i = 0; i < std::ssize(a.x); ++i) {
    x[i] = static_cast<float>(static_cast<double>(static_cast<float>(sum[i])) * scale);
  }
}

void sigmoid(Queue&, const Sigmoid& a) {
  ALM_CHECK(a.logit.size() == a.out.size());
  const float* __restrict logit = a.logit.data();
  float* __restrict out = a.out.data();
  const float scale = a.scale;
  for (int64_t i = 0; i < std::ssize(a.logit); ++i) out[i] = sigmoid_parts(scale * logit[i]).p;
}

void expected_mediator_forward(Queue&, const ExpectedMediatorForward& a) {
  ALM_CHECK(a.mediator.size() == a.share.size() && a.logit.size() == a.share.size());
  const uint8_t* __restrict mediator = a.mediator.data();
  const float* __restrict logit = a.logit.data();
  float* __restrict share = a.share.data();
  for (int64_t j = 0; j < std::ssize(a.share); ++j) {
    const float expected = sigmoid_parts(logit[j]).p;
    share[j] = mediator[j] == kMediatorMissing ? expected : static_cast<float>(mediator[j]);
  }
}

void expected_mediator_backward(Queue&, const ExpectedMediatorBackward& a) {
  ALM_CHECK(a.mediator.size() == a.share.size() && a.d_share.size() == a.share.size() &&
            a.d_logit.size() == a.share.size());
  const uint8_t* __restrict mediator = a.mediator.data();
  const float* __restrict share = a.share.data();
  const float* __restrict d_share = a.d_share.data();
  float* __restrict d_logit = a.d_logit.data();
  for (int64_t j = 0; j < std::ssize(a.share); ++j) {
    const float slope = share[j] * (1 - share[j]) * d_share[j];
    d_logit[j] += mediator[j] == kMediatorMissing ? slope : 0;
  }
}

void accumulate(Queue&, const Accumulate& a) {
  ALM_CHECK(a.x.size() == a.y.size());
  const float* __restrict x = a.x.data();
  float* __restrict y = a.y.data();
  for (int64_t i = 0; i < std::ssize(a.x); ++i) y[i] += x[i];
}

// Running sums enough to hide the latency of an addition, added as a tree at the end.
void sum_squares(Queue&, const SumSquares& a) {
  constexpr int64_t kSums = 32;
  double sums[kSums] = {};
  const float* x = a.x.data();
  const int64_t count = std::ssize(a.x);
  int64_t i = 0;
  for (; i + kSums <= count; i += kSums) {
    for (int64_t lane = 0; lane < kSums; ++lane) {
      const double value = x[i + lane];
      sums[lane] += value * value;
    }
  }
  for (int64_t lane = 0; i < count; ++i, ++lane) sums[lane] += double{x[i]} * double{x[i]};
  for (int64_t half = kSums / 2; half > 0; half /= 2) {
    for (int64_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
  }
  *a.sum += sums[0];
}

}  // namespace alm::ALM_SIMD
