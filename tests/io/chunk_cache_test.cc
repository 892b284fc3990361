#include "io/chunk_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace alm::io {
namespace {

// Fills a chunk with its number and counts.
struct Decoder {
  std::atomic<int> calls{0};
  ChunkCache::Pin get(ChunkCache& cache, int64_t chunk, size_t bytes) {
    return cache.get({0, 1, chunk}, bytes, [&](std::byte* out) {
      ++calls;
      std::memset(out, static_cast<int>(chunk), bytes);
    });
  }
};

TEST(ChunkCache, AChunkIsDecodedOnceWhileItFits) {
  ChunkCache cache(300);
  Decoder decoder;
  for (int round = 0; round < 3; ++round) {
    for (int64_t chunk = 0; chunk < 3; ++chunk) {
      const ChunkCache::Pin pin = decoder.get(cache, chunk, 100);
      EXPECT_EQ(static_cast<int64_t>(pin.data()[99]), chunk);
    }
  }
  EXPECT_EQ(decoder.calls, 3);
  cache.get({1, 1, 0}, 100, [&](std::byte*) { ++decoder.calls; });  // another file
  EXPECT_EQ(decoder.calls, 4);
}

TEST(ChunkCache, TheOneLeastRecentlyUsedMakesRoom) {
  ChunkCache cache(300);
  Decoder decoder;
  for (const int64_t chunk : {0, 1, 2, 0, 3}) decoder.get(cache, chunk, 100);
  EXPECT_EQ(decoder.calls, 4);
  for (const int64_t chunk : {0, 2, 3}) decoder.get(cache, chunk, 100);
  EXPECT_EQ(decoder.calls, 4);
  decoder.get(cache, 1, 100);
  EXPECT_EQ(decoder.calls, 5);
}

TEST(ChunkCache, WhatIsFinishedGoesFirstUnlessItIsWantedAgain) {
  ChunkCache cache(300);
  Decoder decoder;
  for (const int64_t chunk : {0, 1, 2}) {
    ChunkCache::Pin pin = decoder.get(cache, chunk, 100);
    if (chunk > 0) pin.finish();
  }
  decoder.get(cache, 1, 100);  // somebody came back
  decoder.get(cache, 3, 100);
  EXPECT_EQ(decoder.calls, 4);
  for (const int64_t chunk : {0, 1, 3}) decoder.get(cache, chunk, 100);
  EXPECT_EQ(decoder.calls, 4);
  decoder.get(cache, 2, 100);
  EXPECT_EQ(decoder.calls, 5);
}

TEST(ChunkCache, GrowsAndShrinks) {
  ChunkCache cache(100);
  Decoder decoder;
  const auto decoded = [&] {
    decoder.calls = 0;
    for (int round = 0; round < 2; ++round) {
      for (const int64_t chunk : {0, 1, 2}) decoder.get(cache, chunk, 100);
    }
    return decoder.calls.load();
  };
  EXPECT_EQ(decoded(), 6);
  cache.grow(200);
  EXPECT_EQ(decoded(), 2);  // one was there
  cache.grow(-200);
  EXPECT_EQ(decoded(), 6);  // the one kept is driven out by the first that is asked for
}

TEST(ChunkCache, WhatIsInUseStaysHoweverLittleRoomThereIs) {
  ChunkCache cache(150);
  Decoder decoder;
  const ChunkCache::Pin first = decoder.get(cache, 1, 100);
  const ChunkCache::Pin second = decoder.get(cache, 2, 1000);
  for (int64_t chunk = 3; chunk < 40; ++chunk) {
    EXPECT_EQ(static_cast<int64_t>(decoder.get(cache, chunk, 90).data()[0]), chunk);
  }
  EXPECT_EQ(static_cast<int64_t>(first.data()[99]), 1);
  EXPECT_EQ(static_cast<int64_t>(second.data()[999]), 2);
  decoder.calls = 0;
  decoder.get(cache, 1, 100);
  decoder.get(cache, 2, 1000);
  EXPECT_EQ(decoder.calls, 0);
}

TEST(ChunkCache, AFailedDecodingIsThrownAndTriedAgain) {
  ChunkCache cache(100);
  Decoder decoder;
  const auto fail = [](std::byte*) { throw std::runtime_error("damaged"); };
  EXPECT_THROW(cache.get({0, 1, 7}, 10, fail), std::runtime_error);
  EXPECT_THROW(cache.get({0, 1, 7}, 10, fail), std::runtime_error);
  EXPECT_EQ(static_cast<int64_t>(decoder.get(cache, 7, 10).data()[9]), 7);
}

TEST(ChunkCache, ThreadsShareWhatOneOfThemDecodes) {
  ChunkCache cache(1000);
  Decoder decoder;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int64_t round = 0; round < 300; ++round) {
        const int64_t chunk = round % 7;
        const ChunkCache::Pin pin = decoder.get(cache, chunk, 100);
        if (static_cast<int64_t>(pin.data()[50]) != chunk) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(decoder.calls, 7);
}

// Room for three of the seven: what a thread holds must not be overwritten by another.
TEST(ChunkCache, ThreadsThatDriveOutEachOthersChunksStillSeeTheirOwn) {
  ChunkCache cache(300);
  Decoder decoder;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int64_t round = 0; round < 500; ++round) {
        const int64_t chunk = (round * (thread + 1)) % 7;
        const ChunkCache::Pin pin = decoder.get(cache, chunk, 100);
        for (int64_t at = 0; at < 100; ++at) {
          if (static_cast<int64_t>(pin.data()[at]) != chunk) ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace alm::io
