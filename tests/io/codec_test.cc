#include "io/codec.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

#include "io/digest.h"

namespace alm::io {
namespace {

std::vector<std::byte> random_bytes(size_t size, uint64_t seed, int distinct) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) {
    byte = static_cast<std::byte>(random() % static_cast<uint64_t>(distinct));
  }
  return bytes;
}

Buffer buffer_of(const std::vector<std::byte>& bytes) {
  Buffer buffer;
  std::byte* data = buffer.resize(bytes.size());
  if (!bytes.empty()) std::memcpy(data, bytes.data(), bytes.size());
  return buffer;
}

// The definition: big-endian words, sums modulo 65535 by end-around carry, an odd byte as a high
// half.
uint32_t fletcher_by_definition(const std::vector<std::byte>& bytes) {
  uint64_t sum1 = 0;
  uint64_t sum2 = 0;
  const auto carry = [](uint64_t sum) { return (sum & 0xffff) + (sum >> 16); };
  for (size_t at = 0; at < bytes.size(); at += 2) {
    const auto high = static_cast<uint64_t>(bytes[at]);
    const uint64_t low = at + 1 < bytes.size() ? static_cast<uint64_t>(bytes[at + 1]) : 0;
    sum1 = carry(sum1 + (high << 8 | low));
    sum2 = carry(sum2 + sum1);
  }
  return static_cast<uint32_t>(carry(sum2) << 16 | carry(sum1));
}

TEST(Digest, Sha256OfAKnownText) {
  Sha256 digest;
  digest.update(std::string("ab"));
  digest.update(std::string("c"));
  EXPECT_EQ(digest.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, Fletcher32EqualsItsDefinitionForAllSizesAndExtremeBytes) {
  for (size_t size = 0; size < 200; ++size) {
    const auto bytes = random_bytes(size, size, 256);
    EXPECT_EQ(fletcher32(bytes), fletcher_by_definition(bytes)) << size;
  }
  for (const size_t size : {719, 720, 721, 8191, 8192, 8193, 100003}) {
    const auto bytes = random_bytes(size, size, 256);
    EXPECT_EQ(fletcher32(bytes), fletcher_by_definition(bytes)) << size;
    const std::vector<std::byte> ones(size, std::byte{0xff});
    EXPECT_EQ(fletcher32(ones), fletcher_by_definition(ones)) << size;
    const std::vector<std::byte> zeros(size, std::byte{0});
    EXPECT_EQ(fletcher32(zeros), 0u);
  }
}

TEST(Codec, EveryPipelineGivesItsBytesBack) {
  Buffer scratch;
  for (const Codec codec : {Codec::none, Codec::deflate, Codec::zstd, Codec::lz4}) {
    for (const int64_t element : {1, 2, 4, 8, 3}) {
      for (const size_t size : {1, 2, 7, 24, 1000, 65537}) {
        for (const int distinct : {1, 3, 256}) {
          const auto plain = random_bytes(size, size, distinct);
          const std::vector<Filter> filters = pipeline_of(codec, element);
          ASSERT_TRUE(can_decode(filters));
          Buffer chunk = buffer_of(plain);
          encode_chunk(filters, chunk, scratch);
          std::vector<std::byte> out(size);
          ASSERT_EQ(decode_chunk(filters, 0, out, chunk, scratch), nullptr);
          ASSERT_EQ(out, plain);
        }
      }
    }
  }
}

TEST(Codec, AStageLeftOutByTheMaskIsNotUndone) {
  const auto plain = random_bytes(64, 1, 256);
  Buffer scratch;
  Buffer chunk = buffer_of(plain);
  encode_chunk(pipeline_of(Codec::none, 4), chunk, scratch);  // checksum only
  const std::vector<Filter> filters = pipeline_of(Codec::deflate, 4);
  std::vector<std::byte> out(plain.size());
  ASSERT_EQ(decode_chunk(filters, 0b011, out, chunk, scratch), nullptr);
  EXPECT_EQ(out, plain);
}

TEST(Codec, AChunkThatHardlyShrinksIsStoredAsItIs) {
  Buffer scratch;
  for (const Codec codec : {Codec::deflate, Codec::zstd, Codec::lz4}) {
    for (const int64_t element : {1, 4}) {
      const std::vector<Filter> filters = pipeline_of(codec, element);
      for (const int distinct : {1, 256}) {
        const auto plain = random_bytes(10000, 4, distinct);
        Buffer chunk = buffer_of(plain);
        const uint32_t mask = encode_worthwhile(filters, chunk, scratch);
        const bool shrinks = distinct == 1;
        EXPECT_EQ(mask, shrinks ? 0u : element == 1 ? 0b1u : 0b11u);
        EXPECT_EQ(chunk.size() == plain.size() + kChecksumBytes, !shrinks);
        std::vector<std::byte> out(plain.size());
        ASSERT_EQ(decode_chunk(filters, mask, out, chunk, scratch), nullptr);
        EXPECT_EQ(out, plain);
      }
    }
  }
  Buffer chunk = buffer_of(random_bytes(100, 5, 256));
  EXPECT_EQ(encode_worthwhile(pipeline_of(Codec::none, 4), chunk, scratch), 0u);
  EXPECT_EQ(chunk.size(), 104u);
}

TEST(Codec, OldSwappedChecksumsAreAccepted) {
  const auto plain = random_bytes(64, 2, 256);
  Buffer scratch;
  Buffer chunk = buffer_of(plain);
  const std::vector<Filter> filters = pipeline_of(Codec::none, 1);
  encode_chunk(filters, chunk, scratch);
  std::swap(chunk.data()[64], chunk.data()[65]);
  std::swap(chunk.data()[66], chunk.data()[67]);
  std::vector<std::byte> out(plain.size());
  EXPECT_EQ(decode_chunk(filters, 0, out, chunk, scratch), nullptr);
}

TEST(Codec, EveryFlippedBitAndEveryCutIsNoticed) {
  const auto plain = random_bytes(400, 3, 5);
  std::vector<std::byte> out(plain.size());
  Buffer scratch;
  for (const Codec codec : {Codec::none, Codec::deflate, Codec::zstd, Codec::lz4}) {
    const std::vector<Filter> filters = pipeline_of(codec, 4);
    Buffer whole = buffer_of(plain);
    encode_chunk(filters, whole, scratch);
    const std::vector<std::byte> stored(whole.data(), whole.data() + whole.size());
    for (size_t bit = 0; bit < stored.size() * 8; ++bit) {
      std::vector<std::byte> damaged = stored;
      damaged[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
      Buffer chunk = buffer_of(damaged);
      ASSERT_NE(decode_chunk(filters, 0, out, chunk, scratch), nullptr) << bit;
    }
    for (size_t size = 0; size < stored.size(); ++size) {
      Buffer chunk = buffer_of({stored.begin(), stored.begin() + static_cast<long>(size)});
      ASSERT_NE(decode_chunk(filters, 0, out, chunk, scratch), nullptr) << size;
    }
  }
}

// Without the checksum in front the decoders themselves must survive anything.
TEST(Codec, RandomBytesNeverOverrunADecoder) {
  Buffer scratch;
  for (const uint32_t id : {kFilterDeflate, kFilterZstd, kFilterLz4}) {
    const std::vector<Filter> filters{{id}};
    for (uint64_t seed = 0; seed < 500; ++seed) {
      auto bytes = random_bytes(seed % 60, seed, 256);
      if (id == kFilterLz4 && bytes.size() >= 12) {  // a believable head
        const unsigned char head[12] = {0, 0,   0, 0, 0, 0,
                                        0, 100, 0, 0, 0, static_cast<unsigned char>(seed)};
        std::memcpy(bytes.data(), head, 12);
      }
      Buffer chunk = buffer_of(bytes);
      std::vector<std::byte> out(100);
      decode_chunk(filters, 0, out, chunk, scratch);
    }
  }
}

}  // namespace
}  // namespace alm::io
