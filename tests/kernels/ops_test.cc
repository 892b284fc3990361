// Single promises of kernels/ops.h that random cases would not hit: tails, NaN, exactness, closed
// forms.
#include "kernels/ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "kernels/base/fixed_point.h"
#include "kernels/base/rng.h"
#include "kernels/op_cases.h"

namespace alm {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class OnEveryLevel : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Device> device_ = make_cpu_device(GetParam());
  std::unique_ptr<Queue> queue_ = device_->make_queue();
  const Ops& ops_ = device_->ops();

  // The separable loss of one journey with given touches.
  struct Result {
    LossSums sums;
    std::vector<float> d_logit, d_potency;
    float d_confounding = 0, d_second = 0;
  };
  Result separable(std::vector<float> logit, std::vector<float> potency,
                   std::vector<uint8_t> mediator, float confounding, float outcome) {
    Result result;
    const std::vector<int64_t> begin = {0, std::ssize(logit)};
    result.d_logit.resize(logit.size());
    result.d_potency.resize(logit.size());
    const float second = 0.3f, weight = 1;
    ops_.separable_loss(*queue_, {.touches = {begin},
                                  .mediator_logit = logit,
                                  .potency = potency,
                                  .confounding = {&confounding, 1},
                                  .second_stage = {&second, 1},
                                  .mediator = mediator,
                                  .outcome = {&outcome, 1},
                                  .weight = {&weight, 1},
                                  .d_mediator_logit = result.d_logit,
                                  .d_potency = result.d_potency,
                                  .d_confounding = {&result.d_confounding, 1},
                                  .d_second_stage = {&result.d_second, 1},
                                  .sums = &result.sums});
    return result;
  }
};

INSTANTIATE_TEST_SUITE_P(Level, OnEveryLevel, testing::ValuesIn(cpu_simd_levels()),
                         [](const auto& test) { return test.param; });

// --- losses in the tails
// ----------------------------------------------------------------------------

TEST_P(OnEveryLevel, OutcomeLossKeepsItsDigitsWhenBothOutcomesAreRare) {
  // E = -log P(Y=0) from 1e-6 to 30 through the confounding term alone.
  for (const double e : {1e-6, 1e-4, 1e-2, 0.3, 0.69, 0.7, 2.0, 10.0, 30.0}) {
    const auto confounding = static_cast<float>(std::log(std::expm1(e)));
    const double h = std::log1p(std::exp(double{confounding}));
    const double p0 = std::exp(-h), p1 = -std::expm1(-h);
    const double slope = 1 / (1 + std::exp(-double{confounding}));
    const Result one = separable({}, {}, {}, confounding, 1);
    const Result zero = separable({}, {}, {}, confounding, 0);
    EXPECT_NEAR(one.sums.outcome, -std::log1p(-p0), 4e-7 * std::fabs(std::log(p1)) + 1e-20) << e;
    EXPECT_NEAR(zero.sums.outcome, h, 4e-7 * h) << e;
    EXPECT_NEAR(one.d_confounding, -p0 / p1 * slope, 6e-7 * (p0 / p1 * slope)) << e;
    EXPECT_NEAR(zero.d_confounding, slope, 4e-7 * slope) << e;
  }
}

TEST_P(OnEveryLevel, ProbabilityOfNoOutcomeStopsAtTheFloor) {
  const Result one = separable({}, {}, {}, -60, 1);
  EXPECT_NEAR(one.sums.outcome, -std::log(1e-7), 1e-4);
  EXPECT_TRUE(std::isfinite(one.d_confounding));
  const Result zero = separable({}, {}, {}, -60, 0);
  EXPECT_FLOAT_EQ(static_cast<float>(zero.sums.outcome), kOutcomeFloor);
}

TEST_P(OnEveryLevel, MissingMediatorsKeepTheirDigitsAtEveryEnd) {
  for (const float z : {-40.0f, -12.0f, -1.0f, 0.0f, 3.0f, 12.0f, 40.0f}) {
    for (const float v : {-40.0f, -12.0f, -1.0f, 0.0f, 3.0f, 12.0f, 40.0f}) {
      const long double p = 1 / (1 + std::exp(-static_cast<long double>(z)));
      const long double q = 1 / (1 + std::exp(-static_cast<long double>(v)));
      const long double not_p = 1 / (1 + std::exp(static_cast<long double>(z)));
      const long double not_q = 1 / (1 + std::exp(static_cast<long double>(v)));
      const long double none = not_p + p * not_q;
      const long double hidden = q * p < 0.5L ? -std::log1p(-q * p) : -std::log(none);
      const long double h = std::log1p(std::exp(-3.0L));
      const Result zero = separable({z}, {v}, {kMediatorMissing}, -3, 0);
      EXPECT_NEAR(zero.sums.outcome, static_cast<double>(h + hidden),
                  static_cast<double>(4e-7L * (h + hidden)));
      EXPECT_NEAR(zero.d_logit[0], static_cast<double>(q * p * not_p / none),
                  static_cast<double>(2e-6L * (q * p * not_p / none)));
      EXPECT_NEAR(zero.d_potency[0], static_cast<double>(q * p * not_q / none),
                  static_cast<double>(2e-6L * (q * p * not_q / none)));
      EXPECT_EQ(zero.sums.mediator, 0);
    }
  }
}

TEST_P(OnEveryLevel, ExtremeLogitsGiveFiniteLossesAndGradients) {
  for (const float extreme : {-1e30f, -1000.0f, 1000.0f, 1e30f}) {
    for (const uint8_t m : {uint8_t{0}, uint8_t{1}, kMediatorMissing}) {
      for (const float outcome : {0.0f, 1.0f}) {
        const Result result =
            separable({extreme, 0}, {-extreme / 2, extreme}, {m, m}, extreme, outcome);
        EXPECT_TRUE(std::isfinite(result.sums.mediator) && std::isfinite(result.sums.outcome));
        for (const float d : result.d_logit) EXPECT_TRUE(std::isfinite(d));
        for (const float d : result.d_potency)
          EXPECT_TRUE(std::isfinite(d) || std::fabs(extreme) > 1e29);
        EXPECT_TRUE(std::isfinite(result.d_confounding));
      }
    }
  }
}

TEST_P(OnEveryLevel, ANanReachesTheLossAndTheGradient) {
  for (const float outcome : {0.0f, 1.0f}) {
    EXPECT_TRUE(std::isnan(separable({kNan}, {1}, {1}, 0, outcome).sums.mediator));
    EXPECT_TRUE(std::isnan(separable({0}, {kNan}, {1}, 0, outcome).sums.outcome));
    EXPECT_TRUE(std::isnan(separable({kNan}, {1}, {kMediatorMissing}, 0, outcome).sums.outcome));
    const Result result = separable({0}, {1}, {1}, kNan, outcome);
    EXPECT_TRUE(std::isnan(result.sums.outcome));
    EXPECT_TRUE(std::isnan(result.sums.second_stage));
    EXPECT_TRUE(std::isnan(result.d_confounding));
  }
}

TEST_P(OnEveryLevel, SoftmaxLossSurvivesHugeLogitsAndKeepsSmallLosses) {
  const std::vector<float> logits = {10000, 0, -10000, 20, 0, 0};
  const std::vector<int64_t> label = {1, 0};
  const std::vector<float> weight = {1, 1};
  std::vector<float> d(6);
  double sum = 0;
  ops_.softmax_loss(*queue_, {.logits = {logits.data(), 1, 3},
                              .label = {label.data(), 1},
                              .weight = {weight.data(), 1},
                              .d_logits = {d.data(), 1, 3},
                              .sum = &sum});
  EXPECT_DOUBLE_EQ(sum, 10000);
  EXPECT_FLOAT_EQ(d[0], 1);
  EXPECT_FLOAT_EQ(d[1], -1);
  sum = 0;
  ops_.softmax_loss(*queue_, {.logits = {logits.data() + 3, 1, 3},
                              .label = {label.data() + 1, 1},
                              .weight = {weight.data(), 1},
                              .d_logits = {d.data(), 1, 3},
                              .sum = &sum});
  const double small = std::log1p(2 * std::exp(-20.0));
  EXPECT_NEAR(sum, small, 1e-6 * small);
}

TEST_P(OnEveryLevel, RowsWithoutTargetCountNowhereEvenIfTheirOutputIsNan) {
  const std::vector<float> output = {kNan, 0.5f}, target = {kNan, 1}, weight = {3, 2};
  std::vector<float> d(2, 9);
  double sum = 0, weight_sum = 0;
  ops_.bce_loss(*queue_, {.output = output,
                          .target = target,
                          .weight = weight,
                          .d_output = d,
                          .sum = &sum,
                          .weight_sum = &weight_sum});
  EXPECT_NEAR(sum, 2 * std::log1p(std::exp(-0.5)), 1e-6);
  EXPECT_EQ(weight_sum, 2);
  EXPECT_EQ(d[0], 0);
}

TEST_P(OnEveryLevel, AttentionSurvivesScoresThatOverflowExp) {
  // One head of width 1: scores 0 (start) and 1000 * 10.
  const std::vector<float> qkv = {1000, 10, 3}, start = {0, 7};
  std::vector<float> out(1), log_sum(1);
  const std::vector<int64_t> begin = {0, 1};
  ops_.attention_forward(*queue_, {.touches = {begin},
                                   .heads = 1,
                                   .qkv = {qkv.data(), 1, 3},
                                   .start = {start.data(), 2, 1},
                                   .out = {out.data(), 1, 1},
                                   .log_sum = {log_sum.data(), 1, 1}});
  EXPECT_FLOAT_EQ(out[0], 3);
  EXPECT_FLOAT_EQ(log_sum[0], 10000);
}

TEST_P(OnEveryLevel, SigmoidIsAccurateToRoundingOverItsRange) {
  std::vector<float> logit, out;
  for (float x = -80; x < 80; x += 0.0137f) logit.push_back(x);
  out.resize(logit.size());
  ops_.sigmoid(*queue_, {.logit = logit, .scale = 1, .out = out});
  for (size_t i = 0; i < logit.size(); ++i) {
    const double expected = 1 / (1 + std::exp(-double{logit[i]}));
    ASSERT_NEAR(out[i], expected, 3e-7 * expected) << logit[i];
  }
}

// --- NaN and size
// -----------------------------------------------------------------------------------

TEST_P(OnEveryLevel, MaxAbsTurnsNanAndInfinityIntoInfinityWhereverTheyAre) {
  for (const float bad : {kNan, -kNan, kInfinity, -kInfinity}) {
    for (const size_t at : {0, 1, 15, 16, 36}) {
      std::vector<float> x(37, -2);
      x[at] = bad;
      float largest = 1;
      ops_.max_abs(*queue_, {.x = x, .largest = &largest});
      EXPECT_EQ(largest, kInfinity);
    }
  }
  float kept = 5;
  const std::vector<float> small = {-3, 0, 4};
  ops_.max_abs(*queue_, {.x = small, .largest = &kept});
  EXPECT_EQ(kept, 5);
}

TEST_P(OnEveryLevel, ReluLetsNanThrough) {
  const std::vector<float> x(32, 1), w = {kNan};
  std::vector<float> y(32);
  ops_.linear_forward(*queue_, {.x = {x.data(), 32, 1},
                                .w = {w.data(), 1, 1},
                                .bias = {},
                                .y = {y.data(), 32, 1},
                                .relu = true});
  for (const float value : y) EXPECT_TRUE(std::isnan(value));
  std::vector<float> z(32, 1);
  const std::vector<int64_t> begin = {0, 1};
  const std::vector<float> context(32, kNan);
  ops_.join_context_forward(
      *queue_, {.touches = {begin}, .context = {context.data(), 1, 32}, .y = {z.data(), 1, 32}});
  for (const float value : z) EXPECT_TRUE(std::isnan(value));
}

// --- exact sums
// -------------------------------------------------------------------------------------

TEST_P(OnEveryLevel, QuantiseRoundsToNearestEvenOverTheWholeRange) {
  const std::vector<float> x = {0.5f,  1.5f,        2.5f,    -0.5f,    -1.5f,
                                -2.5f, 0.49999997f, 0x1p61f, -0x1p61f, 0x1.fffffep60f};
  std::vector<int64_t> sum(x.size(), 100);
  ops_.quantise(*queue_, {.x = x, .shift = 0, .sum = sum});
  const std::vector<int64_t> expected = {
      0, 2, 2, 0, -2, -2, 0, int64_t{1} << 61, -(int64_t{1} << 61), ((int64_t{1} << 24) - 1) << 37};
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(sum[i] - 100, expected[i]) << x[i];
}

TEST_P(OnEveryLevel, QuantisedSumsAreExactAndFreeOfOrder) {
  const int64_t blocks = 17, width = 1009;
  std::vector<std::vector<float>> gradient(blocks);
  float largest = 0;
  for (int64_t block = 0; block < blocks; ++block) {
    Rng rng(3, Stream::test, static_cast<uint64_t>(block));
    auto& values = gradient[static_cast<size_t>(block)];
    for (int64_t i = 0; i < width; ++i) {
      values.push_back(static_cast<float>(rng.normal() * std::exp(4 * rng.normal())));
    }
    ops_.max_abs(*queue_, {.x = values, .largest = &largest});
  }
  const int shift = fixed_point_shift(largest, blocks);
  const auto total = [&](bool backwards) {
    std::vector<int64_t> sum(width);
    for (int64_t step = 0; step < blocks; ++step) {
      const int64_t block = backwards ? blocks - 1 - step : step;
      ops_.quantise(*queue_,
                    {.x = gradient[static_cast<size_t>(block)], .shift = shift, .sum = sum});
    }
    return sum;
  };
  const std::vector<int64_t> sum = total(false);
  EXPECT_EQ(sum, total(true));
  std::vector<float> result(width);
  ops_.dequantise(*queue_, {.sum = sum, .shift = shift, .x = result});
  for (size_t i = 0; i < result.size(); ++i) {
    double exact = 0;
    __int128 integers = 0;
    for (const auto& values : gradient) {
      exact += double{values[i]};
      integers += static_cast<__int128>(std::nearbyint(std::ldexp(double{values[i]}, shift)));
    }
    ASSERT_EQ(static_cast<__int128>(sum[i]), integers);
    ASSERT_NEAR(result[i], exact, 1e-7 * std::fabs(exact) + std::ldexp(blocks, -shift));
  }
}

TEST_P(OnEveryLevel, DequantiseRoundsOnce) {
  // 2^60 + 2^36 + 1 lies just above the middle of two floats; by way of double the 1 would be lost
  // and the tie would go to the even one below.
  const std::vector<int64_t> sum = {(int64_t{1} << 60) + (int64_t{1} << 36) + 1, -5, 0};
  std::vector<float> x(3);
  ops_.dequantise(*queue_, {.sum = sum, .shift = 60, .x = x});
  EXPECT_EQ(x[0], 1.0f + 0x1p-23f);
  EXPECT_EQ(x[1], -5 * 0x1p-60f);
  EXPECT_EQ(x[2], 0);
}

// --- optimisers
// -------------------------------------------------------------------------------------

StepSettings settings_of(int64_t step, float rate, float decay) {
  const double at = static_cast<double>(step);
  return {.learning_rate = rate,
          .weight_decay = decay,
          .unbias1 = static_cast<float>(1 / (1 - std::pow(0.9, at))),
          .unbias2 = static_cast<float>(1 / (1 - std::pow(0.999, at)))};
}

TEST_P(OnEveryLevel, GradientScaleIsNanWhereALossOrTheNormIsNotFinite) {
  const double infinity = std::numeric_limits<double>::infinity();
  const auto scale_of = [&](const LossSums& losses, std::vector<double> squares, float clip_norm) {
    const StepSettings settings{.clip_norm = clip_norm};
    float scale = -1;
    ops_.gradient_scale(
        *queue_, {.losses = &losses, .squares = squares, .settings = &settings, .scale = &scale});
    return scale;
  };
  EXPECT_EQ(scale_of({.weight = 4}, {}, 1), 0.25f);
  EXPECT_EQ(scale_of({.weight = 4}, {64}, 0), 0.25f);
  EXPECT_EQ(scale_of({.weight = 4}, {64}, 2), 0.25f) << "the norm is 2";
  EXPECT_EQ(scale_of({.weight = 4}, {60, 4}, 1), 0.125f);
  EXPECT_EQ(scale_of({.outcome = 1}, {64}, 1), 0) << "no weight";
  EXPECT_EQ(scale_of({.outcome = -kLargestLoss, .weight = 4}, {}, 0), 0.25f);
  EXPECT_TRUE(std::isnan(scale_of({.outcome = -2 * kLargestLoss, .weight = 4}, {}, 0)));
  EXPECT_TRUE(std::isnan(scale_of({.mediator = kNan, .weight = 4}, {}, 0)));
  EXPECT_TRUE(std::isnan(scale_of({.weight = 4, .contrastive_weight = infinity}, {}, 0)));
  EXPECT_TRUE(std::isnan(scale_of({.weight = 4}, {1, infinity}, 1)));
  EXPECT_TRUE(std::isnan(scale_of({.weight = 4}, {kNan, 1}, 1)));
}

TEST_P(OnEveryLevel, UpdatesLeaveEverythingAsItIsWhereTheScaleIsNan) {
  std::vector<float> w = {2, 3, 5}, m = {1, 1, 1}, v = {1, 1, 1}, state = {1};
  const std::vector<float> gradient = {kNan, 1, std::numeric_limits<float>::infinity()}, mask(3, 1);
  const StepSettings settings{.learning_rate = 1, .row_learning_rate = 1, .weight_decay = 1};
  const std::vector<int64_t> rows = {0};
  ops_.adamw(*queue_, {.weights = w,
                       .gradient = gradient,
                       .first_moment = m,
                       .second_moment = v,
                       .decay_mask = mask,
                       .gradient_scale = &kNan,
                       .settings = &settings});
  ops_.adagrad_rows(*queue_, {.table = {w.data(), 1, 3},
                              .state = state,
                              .rows = rows,
                              .gradient = {gradient.data(), 1, 3},
                              .gradient_scale = &kNan,
                              .settings = &settings});
  EXPECT_EQ(w, std::vector<float>({2, 3, 5}));
  EXPECT_EQ(m, std::vector<float>({1, 1, 1}));
  EXPECT_EQ(v, std::vector<float>({1, 1, 1}));
  EXPECT_EQ(state, std::vector<float>({1}));
}

TEST_P(OnEveryLevel, AdamWWithAConstantGradientMovesByTheRateEachStep) {
  // m / (1 - b1^t) = g and v / (1 - b2^t) = g^2 for a constant g, so each step is rate * sign(g).
  const std::vector<float> gradient = {0.5f, -3, 1e-3f, 7, 0.25f, 1, -1, 2, 3};
  std::vector<float> w(9, 1), m(9), v(9);
  const std::vector<float> mask(9, 0);
  const float scale = 1;
  for (int64_t step = 1; step <= 100; ++step) {
    const StepSettings settings = settings_of(step, 0.01f, 5);
    ops_.adamw(*queue_, {.weights = w,
                         .gradient = gradient,
                         .first_moment = m,
                         .second_moment = v,
                         .decay_mask = mask,
                         .gradient_scale = &scale,
                         .settings = &settings});
  }
  for (size_t i = 0; i < w.size(); ++i) {
    EXPECT_NEAR(w[i], gradient[i] > 0 ? 0 : 2, 1e-4) << i;
  }
}

TEST_P(OnEveryLevel, AdamWWithoutGradientDecaysTheMaskedWeightsGeometrically) {
  std::vector<float> w = {2, 2}, m(2), v(2);
  const std::vector<float> gradient(2, 0), mask = {1, 0};
  const float scale = 1;
  for (int64_t step = 1; step <= 50; ++step) {
    const StepSettings settings = settings_of(step, 0.1f, 0.2f);
    ops_.adamw(*queue_, {.weights = w,
                         .gradient = gradient,
                         .first_moment = m,
                         .second_moment = v,
                         .decay_mask = mask,
                         .gradient_scale = &scale,
                         .settings = &settings});
  }
  EXPECT_NEAR(w[0], 2 * std::pow(1 - 0.02, 50), 1e-5);
  EXPECT_EQ(w[1], 2);
}

TEST_P(OnEveryLevel, AdagradWithAConstantGradientMovesByTheRateOverRootSteps) {
  // Constant g in every column: state = t g^2, so step t moves rate / sqrt(t).
  std::vector<float> table(3 * 5, 1), state(3);
  const std::vector<int64_t> rows = {2};
  const std::vector<float> gradient(5, -4);
  const float scale = 0.5f;
  const StepSettings settings{.row_learning_rate = 0.1f};
  double expected = 1;
  for (int step = 1; step <= 20; ++step) {
    ops_.adagrad_rows(*queue_, {.table = {table.data(), 3, 5},
                                .state = state,
                                .rows = rows,
                                .gradient = {gradient.data(), 1, 5},
                                .gradient_scale = &scale,
                                .settings = &settings});
    expected += 0.1 / std::sqrt(step);
  }
  for (size_t c = 0; c < 5; ++c) {
    EXPECT_EQ(table[c], 1);
    EXPECT_NEAR(table[10 + c], expected, 1e-5);
  }
  EXPECT_NEAR(state[2], 20 * 4, 1e-4);
}

// --- threads
// ----------------------------------------------------------------------------------------

TEST_P(OnEveryLevel, OpsGiveTheSameBitsAloneAndBesideAnotherThread) {
  const std::vector<OpCase> cases = performance_cases();
  const auto compute = [&](const OpCase& op_case) {
    const std::unique_ptr<Queue> queue = device_->make_queue();
    auto arguments = std::make_unique<OpArguments>(op_case);
    if (!op_case.forward.empty()) bind_op(op_case.forward, ops_, *queue, *arguments)();
    bind_op(op_case.op, ops_, *queue, *arguments)();
    return arguments;
  };
  for (const OpCase& op_case : cases) {
    if (op_case.bytes > 8e6) continue;
    const auto alone = compute(op_case);
    std::unique_ptr<OpArguments> left, right;
    std::thread first([&] { left = compute(op_case); });
    std::thread second([&] { right = compute(op_case); });
    first.join();
    second.join();
    for (const auto& [name, array] : op_case.arrays) {
      ASSERT_EQ(alone->memory(name), left->memory(name)) << op_case.name << " " << name;
      ASSERT_EQ(alone->memory(name), right->memory(name)) << op_case.name << " " << name;
    }
  }
}

TEST_P(OnEveryLevel, WrongShapesAreCaught) {
  std::vector<float> x(4), y(3);
  EXPECT_THROW(ops_.accumulate(*queue_, {.x = x, .y = y}), BugError);
  // Activations that are not its own.
  EXPECT_THROW(ops_.linear_forward(*queue_, {.x = {x.data(), 1, 2, 2, Precision::bf16},
                                             .w = {x.data(), 2, 1},
                                             .bias = {},
                                             .y = {y.data(), 1, 1}}),
               BugError);
}

TEST(MixedMatrixView, IsReadAsFloatsOnlyWhereItHoldsThem) {
  std::vector<float> memory(12);
  memory[6] = 3;
  const MixedMatrix<float> floats = Matrix<float>(memory.data(), 3, 4).columns(1, 2);
  EXPECT_EQ(floats(1, 1), 3);
  EXPECT_EQ(floats.floats().row(1), memory.data() + 5);
  const MixedMatrix<const float> halves(memory.data(), 3, 2, 5, Precision::bf16);
  EXPECT_EQ(static_cast<const void*>(halves.row<uint16_t>(2)),
            reinterpret_cast<const uint16_t*>(memory.data()) + 10);
  EXPECT_THROW(halves.floats(), BugError);
  EXPECT_TRUE(in_fp32(floats, MixedMatrix<float>()));
  EXPECT_FALSE(in_fp32(floats, halves));
}

}  // namespace
}  // namespace alm
