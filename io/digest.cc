#include "io/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/base/check.h"

namespace alm::io {

static_assert(std::endian::native == std::endian::little,
              "the log is read as it lies: little-endian");

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  ALM_CHECK(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  ALM_CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

void Sha256::update(const std::string& text) {
  update(std::as_bytes(std::span(text)));
}

std::string Sha256::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  ALM_CHECK(EVP_DigestFinal_ex(state_->context, digest, &size) == 1);
  std::string text;
  for (unsigned int index = 0; index < size; ++index) text += format("%02x", digest[index]);
  return text;
}

namespace {

// One's-complement folding to 16 bits: never turns a positive sum into zero, so 0 and 65535 stay
// apart as they do in HDF5's own loop.
uint64_t fold(uint64_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

using Words = uint32_t __attribute__((vector_size(32)));  // pairs of 16-bit words
constexpr size_t kPairs = sizeof(Words) / sizeof(uint32_t);
constexpr size_t kVectors = 2;                    // taken side by side
constexpr size_t kLanes = 2 * kPairs * kVectors;  // 16-bit words of a round
constexpr size_t kRounds = 256;  // of a block; a lane's second sum stays below 2^32 up to 361

// Sums of the words at one place of every round, and of those sums after every round.
struct LaneSums {
  Words first[2][kVectors] = {};  // of the low and of the high words of the pairs
  Words second[2][kVectors] = {};

  [[gnu::always_inline]] void add(const std::byte* data) {
    for (size_t vector = 0; vector < kVectors; ++vector) {
      Words pairs;
      std::memcpy(&pairs, data + vector * sizeof(pairs), sizeof(pairs));
      first[0][vector] += pairs & 0xffffu;
      first[1][vector] += pairs >> 16;
      second[0][vector] += first[0][vector];
      second[1][vector] += first[1][vector];
    }
  }
};

// Swapping the bytes of a 16-bit word is multiplication by 256 modulo 65535, so the sums may run
// over little-endian words and be swapped once at the end. Lanes are summed apart and then joined:
// word i of N in a block weighs N - i in the second sum.
[[gnu::always_inline]] inline uint32_t fletcher(std::span<const std::byte> bytes) {
  uint64_t sum1 = 0;
  uint64_t sum2 = 0;
  const std::byte* data = bytes.data();
  size_t words = bytes.size() / 2;
  while (words >= kLanes) {
    const size_t rounds = std::min(words / kLanes, kRounds);
    LaneSums sums;
    for (size_t round = 0; round < rounds; ++round) sums.add(data + round * 2 * kLanes);
    sum2 += sum1 * rounds * kLanes;
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const size_t vector = lane / (2 * kPairs);
      const size_t pair = lane % (2 * kPairs) / 2;
      const uint64_t first = sums.first[lane % 2][vector][pair];
      sum1 += first;
      sum2 += kLanes * uint64_t{sums.second[lane % 2][vector][pair]} - lane * first;
    }
    sum1 = fold(sum1);
    sum2 = fold(sum2);
    data += rounds * kLanes * 2;
    words -= rounds * kLanes;
  }
  for (; words > 0; --words, data += 2) {
    uint16_t word;
    std::memcpy(&word, data, 2);
    sum1 += word;
    sum2 += sum1;
  }
  if (bytes.size() % 2 != 0) {  // HDF5 takes an odd last byte as the high half of a word
    sum1 += static_cast<uint64_t>(data[0]);
    sum2 += sum1;
  }
  const auto swap = [](uint64_t sum) {
    const uint64_t folded = fold(sum);
    return static_cast<uint32_t>((folded >> 8) | ((folded & 0xff) << 8));
  };
  return (swap(sum2) << 16) | swap(sum1);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] uint32_t fletcher_avx2(std::span<const std::byte> bytes) {
  return fletcher(bytes);
}
#endif

}  // namespace

uint32_t fletcher32(std::span<const std::byte> bytes) {
#if defined(__x86_64__)
  static const bool wide = __builtin_cpu_supports("avx2");
  if (wide) return fletcher_avx2(bytes);
#endif
  return fletcher(bytes);
}

std::string digest_library() {
  return OpenSSL_version(OPENSSL_VERSION);
}

}  // namespace alm::io
