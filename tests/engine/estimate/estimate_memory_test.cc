#include "engine/estimate/estimate_memory.h"

#include <gtest/gtest.h>

namespace alm {
namespace {

constexpr int64_t kMemory = int64_t{24} << 30;

TEST(MemoryAdvice, IsGivenOnlyWhereManyClustersMayTakeMoreThanHalfOfTheMachine) {
  io::LogSchema schema;
  schema.clusters = 1000;
  EXPECT_EQ(memory_advice(schema, 100'000'000, 2, 8, kMemory), "");
  schema.clusters = 100'000;
  EXPECT_EQ(memory_advice(schema, 80'000, 2, 1, kMemory), "");
  // Every cluster meets every group of users: 2.5 GB a thread.
  EXPECT_NE(memory_advice(schema, 1'000'000'000, 8, 1, kMemory), "");
  EXPECT_NE(memory_advice(schema, 1'000'000'000, 1, 8, kMemory), "");
  schema.clusters = 4'000'000'000;
  const std::string advice = memory_advice(schema, 1'000'000'000, 64, 64, kMemory);
  EXPECT_NE(advice.find("4,000,000,000 clusters"), advice.npos) << advice;
  EXPECT_NE(advice.find("24"), advice.npos) << advice;
}

}  // namespace
}  // namespace alm
