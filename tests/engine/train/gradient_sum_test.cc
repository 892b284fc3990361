// Gradient sums over micro-blocks, threads and ranks against sums of whole numbers, which are
// exact.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <initializer_list>
#include <map>

#include "engine/train/gradient_sum.h"
#include "engine/train/row_gradient_sum.h"
#include "kernels/base/rng.h"
#include "tests/engine/estimate/thread_world.h"

namespace alm {
namespace {

constexpr int64_t kBlocks = 13;

std::unique_ptr<Compute> compute_of(int64_t threads) {
  return std::make_unique<Compute>(make_cpu_device("auto"), threads);
}

// The part of micro-block `block` at `position`: a whole number times 2^exponent.
float part(int64_t block, int64_t position, int exponent) {
  Rng draw(9, Stream::weights, static_cast<uint64_t>(block * 100'000 + position));
  const int64_t whole = static_cast<int64_t>(draw.below(2'000'001)) - 1'000'000;
  return static_cast<float>(std::ldexp(static_cast<double>(whole), exponent));
}

// The range of micro-blocks of a rank: unequal numbers.
std::pair<int64_t, int64_t> blocks_of(int64_t rank, int64_t ranks) {
  return {kBlocks * rank / ranks, kBlocks * (rank + 1) / ranks};
}

std::vector<float> dense_sum(Communicator& world, Compute& compute, int64_t size, int64_t threads,
                             bool deterministic, int exponent) {
  const auto [first, last] = blocks_of(world.rank(), world.size());
  DenseGradientSum sum(size, threads, kBlocks, deterministic);
  Queue& queue = *compute.thread(0).queue;
  bool fits = false;
  for (int64_t pass = 0; !fits; ++pass) {
    EXPECT_LT(pass, 2);
    sum.begin(0, size);
    for (int64_t block = first; block < last; ++block) {
      float* const arena = sum.arena(block % threads);
      for (int64_t at = 0; at < size; ++at) arena[at] += part(block, at, exponent);
      if (deterministic) sum.add(block % threads, queue, compute.ops());
    }
    float largest = sum.largest();
    world.all_reduce_max(std::span(&largest, 1), "largest");
    fits = !deterministic || sum.fits(largest);
  }
  sum.reduce(world, compute);
  return {sum.sum().begin(), sum.sum().end()};
}

TEST(DenseGradientSum, IsTheExactSumForAnyRanksAndThreads) {
  for (const int64_t size : {int64_t{1}, int64_t{7}, int64_t{16'385}}) {
    for (const int exponent : {-40, 0, 60}) {
      std::vector<float> wanted;
      for (int64_t at = 0; at < size; ++at) {
        double total = 0;  // whole numbers below 2^24: exact in double
        for (int64_t block = 0; block < kBlocks; ++block) total += part(block, at, exponent);
        wanted.push_back(static_cast<float>(total));
      }
      for (int64_t ranks = 1; ranks <= 7; ++ranks) {
        ThreadWorld world(ranks);
        world.run([&](Communicator& comm) {
          const int64_t threads = 1 + comm.rank() % 3;
          const auto compute = compute_of(threads);
          EXPECT_EQ(dense_sum(comm, *compute, size, threads, true, exponent), wanted)
              << ranks << " ranks, size " << size << ", exponent " << exponent;
          // 13 numbers below 2^20 stay below 2^24: fp32 adds them without rounding too.
          EXPECT_EQ(dense_sum(comm, *compute, size, threads, false, exponent), wanted)
              << ranks << " ranks, size " << size << ", exponent " << exponent << ", fast";
        });
      }
    }
  }
}

TEST(DenseGradientSum, OfNumbersOfManySizesIsTheSameForAnyRanks) {
  // Numbers that fp32 cannot add exactly; within the rounding of the fixed point all the same.
  const auto value = [](int64_t block, int64_t at) {
    return part(block, at, static_cast<int>((block * 7 + at) % 40) - 40);
  };
  constexpr int64_t kSize = 101;
  std::vector<float> first_result;
  for (int64_t ranks = 1; ranks <= 7; ++ranks) {
    ThreadWorld world(ranks);
    world.run([&](Communicator& comm) {
      const auto compute = compute_of(1);
      const auto [first, last] = blocks_of(comm.rank(), ranks);
      DenseGradientSum sum(kSize, 1, kBlocks, true);
      float largest = 0;
      int64_t passes = 0;
      do {
        ASSERT_LT(passes++, 2);
        sum.begin(0, kSize);
        for (int64_t block = first; block < last; ++block) {
          float* const arena = sum.arena(0);
          for (int64_t at = 0; at < kSize; ++at) arena[at] = value(block, at);
          sum.add(0, *compute->thread(0).queue, compute->ops());
        }
        largest = sum.largest();
        comm.all_reduce_max(std::span(&largest, 1), "largest");
      } while (!sum.fits(largest));
      sum.reduce(comm, *compute);
      if (comm.rank() > 0) return;
      if (first_result.empty()) {
        first_result.assign(sum.sum().begin(), sum.sum().end());
        for (int64_t at = 0; at < kSize; ++at) {
          double total = 0, sizes = 0;
          for (int64_t block = 0; block < kBlocks; ++block) {
            total += value(block, at);
            sizes = std::max(sizes, std::fabs(double{value(block, at)}));
          }
          // A float's rounding, and of each micro-block half a unit: of 62 bits the number of
          // micro-blocks takes 4 and the room for a larger gradient 5.
          EXPECT_NEAR(sum.sum()[static_cast<size_t>(at)], total,
                      std::fabs(total) * 6e-8 + kBlocks * largest * 0x1p-53);
        }
      }
      EXPECT_TRUE(std::equal(sum.sum().begin(), sum.sum().end(), first_result.begin())) << ranks;
    });
  }
}

TEST(DenseGradientSum, SeesWhatIsNotFinite) {
  const auto compute = compute_of(2);
  for (const float bad : {INFINITY, -INFINITY, NAN}) {
    DenseGradientSum sum(37, 2, 4, true);
    sum.begin(0, 37);
    const auto add = [&](int64_t thread, int64_t place, float value) {
      sum.arena(thread)[place] = value;
      sum.add(thread, *compute->thread(0).queue, compute->ops());
    };
    // Of two threads and several micro-blocks, the first place and not the last one seen.
    add(1, 20, bad);
    add(1, 30, bad);
    add(0, 36, bad);
    add(0, 0, 1);
    EXPECT_EQ(sum.largest(), INFINITY);
    EXPECT_EQ(sum.first_not_finite(), 20);
    sum.begin(0, 37);
    add(0, 0, 1);
    EXPECT_EQ(sum.first_not_finite(), -1);
    // A sum that is too large for a float, of micro-blocks that are not.
    const std::unique_ptr<Communicator> world = make_self_communicator();
    for (int64_t pass = 0; pass < 2; ++pass) {
      sum.begin(0, 37);
      add(0, 5, 3e38f);
      add(1, 5, 3e38f);
      EXPECT_EQ(sum.fits(3e38f), pass == 1);
    }
    EXPECT_EQ(sum.first_not_finite(), -1);
    sum.reduce(*world, *compute);
    EXPECT_EQ(sum.first_not_finite(), 5);
  }
}

// What sums are of decides whether the scale of the last one fits; only a sum that does not is made
// again, and then it is that of one that knew the scale from the start.
TEST(DenseGradientSum, IsMadeAgainWhenItsSizeIsAnother) {
  const auto compute = compute_of(1);
  ThreadWorld world(1);
  world.run([&](Communicator& comm) {
    DenseGradientSum sum(3, 1, 2, true);
    const auto made = [&](float size) {
      sum.begin(0, 3);
      for (const float part : {1.0f, 1.0f / 3}) {
        float* const arena = sum.arena(0);
        arena[0] = size;
        arena[1] = part;
        sum.add(0, *compute->thread(0).queue, compute->ops());
      }
      return sum.fits(sum.largest());
    };
    const auto right = [&](float size) {
      sum.reduce(comm, *compute);
      return sum.sum()[0] == 2 * size && sum.sum()[1] == 1 + 1.0f / 3;
    };
    EXPECT_FALSE(made(1));  // the first
    EXPECT_TRUE(made(1) && right(1));
    EXPECT_TRUE(made(32) && right(32));
    EXPECT_TRUE(made(1024) && right(1024));
    EXPECT_FALSE(made(0x1p16f));
    EXPECT_TRUE(made(0x1p16f) && right(0x1p16f));
    EXPECT_FALSE(made(1));
    EXPECT_TRUE(made(1) && right(1));
    // A gradient of zeros has no size, and its sum is right at any scale.
    sum.begin(0, 3);
    sum.arena(0);
    sum.add(0, *compute->thread(0).queue, compute->ops());
    EXPECT_TRUE(sum.fits(0));
    EXPECT_TRUE(made(1) && right(1));
    // Another range has a size of its own.
    sum.begin(1, 2);
    sum.arena(0)[1] = 0x1p40f;
    sum.add(0, *compute->thread(0).queue, compute->ops());
    EXPECT_FALSE(sum.fits(0x1p40f));
    EXPECT_TRUE(made(1) && right(1));
    EXPECT_EQ(sum.sizes(), (std::map<int64_t, float>{{0, 1.0f}, {1, 0x1p40f}}));
  });
}

// A sum over a range leaves the rest out, and starts from zero whatever the sum before it left.
TEST(DenseGradientSum, OfARangeKnowsNothingElse) {
  const auto compute = compute_of(2);
  ThreadWorld world(1);
  world.run([&](Communicator& comm) {
    for (const bool deterministic : {true, false}) {
      DenseGradientSum sum(40, 2, 2, deterministic);
      sum.set_sizes({{0, 40}, {16, 40}});
      for (const auto& [first, last] : {std::pair(0, 40), std::pair(16, 33), std::pair(0, 40)}) {
        sum.begin(first, last);
        // The second thread alone: the first one, where the sum ends up, must be zero by itself.
        float* const arena = sum.arena(1);
        for (int64_t at = first; at < last; ++at) arena[at] += static_cast<float>(at);
        if (deterministic) {
          sum.add(1, *compute->thread(0).queue, compute->ops());
          EXPECT_TRUE(sum.fits(sum.largest()));
        }
        EXPECT_EQ(sum.largest(), deterministic ? static_cast<float>(last - 1) : 0);
        EXPECT_EQ(sum.first_not_finite(), -1);
        sum.reduce(comm, *compute);
        ASSERT_EQ(std::ssize(sum.sum()), last - first);
        for (int64_t at = first; at < last; ++at) {
          EXPECT_EQ(sum.sum()[static_cast<size_t>(at - first)], static_cast<float>(at));
        }
        sum.arena(1)[first == 0 ? 0 : 39] = INFINITY;  // in no later range, or zeroed for it
      }
    }
  });
}

// Uses of a table's rows by micro-block: rows repeat within and between blocks, some blocks use
// none. Rows of a small table lie side by side, those of a large one far apart.
constexpr int64_t kSmallTable = 131;
constexpr int64_t kLargeTable = 22 * 2'097'169 + 1;
RowUses uses_of(int64_t block, int64_t width, int64_t table) {
  RowUses uses;
  const int64_t count = block % 4 == 3 ? 0 : 5 + block;
  for (int64_t use = 0; use < count; ++use) {
    const int64_t draw = block * 31 + use * use * 17;
    uses.rows.push_back(table == kSmallTable
                            ? std::array<int64_t, 4>{0, 62 + draw % 4, draw % 131, 130}[draw % 4]
                            : draw % 23 * 2'097'169);
    for (int64_t col = 0; col < width; ++col) {
      uses.gradient.push_back(part(block, use * width + col, -12));
    }
  }
  return uses;
}

class RowGradients : public testing::TestWithParam<int64_t> {};

TEST_P(RowGradients, AreTheExactSumsOfEveryUsedRowForAnyRanks) {
  for (const int64_t width : {1, 3, 8, 17}) {
    std::map<int64_t, std::vector<double>> wanted;
    int64_t all_uses = 0;
    for (int64_t block = 0; block < kBlocks; ++block) {
      const RowUses uses = uses_of(block, width, GetParam());
      all_uses += static_cast<int64_t>(uses.rows.size());
      for (size_t use = 0; use < uses.rows.size(); ++use) {
        std::vector<double>& row = wanted[uses.rows[use]];
        row.resize(static_cast<size_t>(width));
        for (size_t col = 0; col < row.size(); ++col) {
          row[col] += uses.gradient[use * row.size() + col];
        }
      }
    }
    for (const bool deterministic : {true, false}) {
      for (int64_t ranks = 1; ranks <= 7; ++ranks) {
        ThreadWorld world(ranks);
        world.run([&](Communicator& comm) {
          const auto compute = compute_of(1 + comm.rank() % 3);
          const auto [first, last] = blocks_of(comm.rank(), ranks);
          std::vector<RowUses> mine;
          for (int64_t block = first; block < last; ++block)
            mine.push_back(uses_of(block, width, GetParam()));
          std::vector<const RowUses*> pointers;
          for (const RowUses& uses : mine) pointers.push_back(&uses);
          float largest = 0;
          for (const RowUses& uses : mine) {
            compute->ops().max_abs(*compute->thread(0).queue,
                                   {.x = uses.gradient, .largest = &largest});
          }
          comm.all_reduce_max(std::span(&largest, 1), "largest");
          RowGradientSum sum(GetParam(), width, all_uses, deterministic);
          for (int repeat = 0; repeat < 2; ++repeat) {  // buffers are used again
            sum.reduce(pointers, comm, *compute, largest);
            ASSERT_EQ(sum.rows().size(), wanted.size());
            size_t at = 0;
            for (const auto& [row, values] : wanted) {
              EXPECT_EQ(sum.rows()[at], row);
              for (int64_t col = 0; col < width; ++col) {
                const double exact = values[static_cast<size_t>(col)];
                const float got = sum.gradient()(static_cast<int64_t>(at), col);
                if (deterministic) {
                  EXPECT_EQ(got, static_cast<float>(exact)) << ranks << " ranks, width " << width;
                } else {
                  EXPECT_NEAR(got, exact, 1e-3) << ranks << " ranks, width " << width;
                }
              }
              ++at;
            }
          }
        });
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, RowGradients, testing::Values(kSmallTable, kLargeTable));

// How many uses there are varies from batch to batch; the memory is for the most there have been.
TEST(RowGradientSum, TakesMemoryForTheMostUses) {
  const std::unique_ptr<Communicator> world = make_self_communicator();
  const auto compute = compute_of(3);
  const auto bytes_after = [&](std::initializer_list<int64_t> counts) {
    RowGradientSum sum(1000, 2, 2000, false);
    for (const int64_t count : counts) {
      RowUses uses;
      for (int64_t use = 0; use < count; ++use) uses.rows.push_back(use * 7 % 1000);
      uses.gradient.resize(static_cast<size_t>(2 * count), 1);
      const RowUses* const all[] = {&uses};
      sum.reduce(all, *world, *compute, 0);
    }
    return sum.bytes();
  };
  EXPECT_EQ(bytes_after({1000, 1007, 3, 1011}), bytes_after({1011}));
}

TEST(RowGradientSum, OfNoUsesIsEmpty) {
  ThreadWorld world(3);
  world.run([](Communicator& comm) {
    const auto compute = compute_of(1);
    RowGradientSum sum(5, 4, 10, true);
    sum.reduce({}, comm, *compute, 0);
    EXPECT_TRUE(sum.rows().empty());
    EXPECT_EQ(sum.gradient().rows, 0);
  });
}

}  // namespace
}  // namespace alm
