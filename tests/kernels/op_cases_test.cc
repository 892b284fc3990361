// The ops against the double-precision reference, and their gradients against finite differences of
// it, on every SIMD level of this processor. ALM_CASE=name runs one case only.
#include "kernels/op_cases.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "tests/kernels/op_check.h"

namespace alm {
namespace {

using Role = OpArray::Role;

// Highest level first: the first device of a process fixes the instruction set of the matrix
// product.
std::vector<std::string> levels_from_the_highest() {
  std::vector<std::string> levels = cpu_simd_levels();
  return {levels.rbegin(), levels.rend()};
}

const std::vector<OpCase>& all_cases() {
  static const std::vector<OpCase> cases = correctness_cases();
  return cases;
}

bool wanted(const OpCase& op_case) {
  const char* const only = std::getenv("ALM_CASE");
  return only == nullptr || op_case.name == only;
}

std::string how_to_repeat(const OpCase& op_case, const std::string& level) {
  const testing::TestInfo* info = testing::UnitTest::GetInstance()->current_test_info();
  return op_case.name + " on " + level + "; repeat: ALM_CASE=" + op_case.name +
         " tests_kernels --gtest_filter=" + info->test_suite_name() + "." + info->name();
}

class EveryOp : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Op, EveryOp, testing::ValuesIn(op_names()),
                         [](const auto& test) { return test.param; });

TEST_P(EveryOp, EqualsTheReferenceAndTouchesNothingElse) {
  int64_t ran = 0;
  for (const std::string& level : levels_from_the_highest()) {
    const std::unique_ptr<Device> device = make_cpu_device(level);
    const std::unique_ptr<Queue> queue = device->make_queue();
    for (const OpCase& op_case : all_cases()) {
      if (op_case.op != GetParam() || !wanted(op_case)) continue;
      ++ran;
      SCOPED_TRACE(how_to_repeat(op_case, level));
      OpArguments arguments(op_case);
      if (!op_case.forward.empty()) {
        bind_op(op_case.forward, device->ops(), *queue, arguments)();
      }
      const OpArguments before = arguments;
      reference::Arguments expected = as_seen(op_case, arguments);
      bind_op(op_case.op, device->ops(), *queue, arguments)();
      reference::run(op_case.op, expected);
      expect_as_reference(op_case, arguments, before, expected);
      if (HasFailure()) return;
    }
  }
  EXPECT_TRUE(ran > 0 || std::getenv("ALM_CASE") != nullptr) << "no case for this op";
}

TEST_P(EveryOp, GivesTheSameBitsTwiceWhateverTheScratchHeld) {
  for (const std::string& level : levels_from_the_highest()) {
    const std::unique_ptr<Device> device = make_cpu_device(level);
    const std::unique_ptr<Queue> clean = device->make_queue();
    const std::unique_ptr<Queue> dirty = device->make_queue();
    std::memset(dirty->scratch(1 << 22), 0xff, 1 << 22);
    for (const OpCase& op_case : all_cases()) {
      if (op_case.op != GetParam() || !wanted(op_case)) continue;
      SCOPED_TRACE(how_to_repeat(op_case, level));
      OpArguments first(op_case);
      OpArguments second(op_case);
      if (!op_case.forward.empty()) {
        bind_op(op_case.forward, device->ops(), *clean, first)();
        bind_op(op_case.forward, device->ops(), *dirty, second)();
      }
      bind_op(op_case.op, device->ops(), *clean, first)();
      bind_op(op_case.op, device->ops(), *dirty, second)();
      for (const auto& [name, array] : op_case.arrays) {
        ASSERT_EQ(first.memory(name), second.memory(name)) << name;
      }
    }
  }
}

// --- gradients
// --------------------------------------------------------------------------------------

struct GradientRule {
  std::string backward;
  std::string forward;                         // empty: the op itself computes the loss
  std::map<std::string, std::string> outputs;  // output of forward -> gradient handed to backward
  std::map<std::string, std::string> inputs;   // input of forward -> gradient that backward gives
};

const std::vector<GradientRule>& gradient_rules() {
  static const std::vector<GradientRule> rules = {
      {"scatter_rows", "gather_rows", {{"out", "d_out"}}, {{"table", "gradient"}}},
      {"linear_backward",
       "linear_forward",
       {{"y", "d_y"}},
       {{"x", "d_x"}, {"w", "d_w"}, {"bias", "d_bias"}}},
      {"join_context_backward",
       "join_context_forward",
       {{"y", "d_y"}},
       {{"y", "d_y"}, {"context", "d_context"}}},
      {"attention_backward",
       "attention_forward",
       {{"out", "d_out"}},
       {{"qkv", "d_qkv"}, {"start", "d_start"}}},
      {"pool_backward", "pool_forward", {{"out", "d_out"}}, {{"x", "d_x"}, {"w", "d_w"}}},
      {"weighted_sum_backward",
       "weighted_sum_forward",
       {{"out", "d_out"}},
       {{"x", "d_x"}, {"weight", "d_weight"}}},
      {"bilinear_backward",
       "bilinear_forward",
       {{"logit", "d_logit"}},
       {{"bias", "d_bias"}, {"v", "d_v"}, {"context", "d_context"}}},
      {"touch_head_backward",
       "touch_head_forward",
       {{"logit", "d_logit"}, {"hidden", "d_hidden"}},
       {{"x", "d_x"},
        {"context", "d_context"},
        {"w_touch", "d_w_touch"},
        {"bias", "d_bias"},
        {"w_context", "d_w_context"},
        {"w_out", "d_w_out"},
        {"out_bias", "d_out_bias"},
        {"cluster_bias", "d_cluster_bias"},
        {"v", "d_v"}}},
      {"expected_mediator_backward",
       "expected_mediator_forward",
       {{"share", "d_share"}},
       {{"logit", "d_logit"}}},
      {"separable_loss",
       "",
       {},
       {{"mediator_logit", "d_mediator_logit"},
        {"potency", "d_potency"},
        {"confounding", "d_confounding"},
        {"second_stage", "d_second_stage"}}},
      {"additive_loss",
       "",
       {},
       {{"mediator_logit", "d_mediator_logit"},
        {"potency", "d_potency"},
        {"confounding", "d_confounding"}}},
      {"bce_loss", "", {}, {{"output", "d_output"}}},
      {"squared_loss", "", {}, {{"output", "d_output"}}},
      {"sigmoid_squared_loss", "", {}, {{"output", "d_output"}}},
      {"softmax_loss", "", {}, {{"logits", "d_logits"}}},
      {"infonce", "", {}, {{"x", "d_x"}, {"y", "d_y"}}},
  };
  return rules;
}

// The number whose gradient the op claims to give.
double objective(const GradientRule& rule, const std::string& moved, reference::Arguments arguments,
                 const reference::Arguments& original) {
  if (!rule.forward.empty()) {
    reference::run(rule.forward, arguments);
    double total = 0;
    for (const auto& [output, gradient] : rule.outputs) {
      if (original.arrays.count(gradient) == 0) continue;  // an optional one
      const std::vector<double>& of_output = original.arrays.at(gradient).values;
      const std::vector<double>& values = arguments.arrays.at(output).values;
      for (size_t i = 0; i < values.size(); ++i) total += of_output[i] * values[i];
    }
    return total;
  }
  reference::run(rule.backward, arguments);
  if (!arguments.has("sums")) return arguments.scalar("scale") * arguments["sum"](0);
  // The second stage's target is held constant: no gradient to the confounding term.
  const double second = moved == "confounding" ? 0 : arguments.scalar("w_second");
  return arguments.scalar("w_mediator") * arguments["sums"](0) +
         arguments.scalar("w_outcome") * arguments["sums"](1) + second * arguments["sums"](2);
}

class EveryGradient : public testing::TestWithParam<GradientRule> {};

INSTANTIATE_TEST_SUITE_P(Op, EveryGradient, testing::ValuesIn(gradient_rules()),
                         [](const auto& test) { return test.param.backward; });

TEST_P(EveryGradient, IsTheSlopeOfTheReference) {
  const GradientRule& rule = GetParam();
  const std::unique_ptr<Device> device = make_cpu_device("auto");
  const std::unique_ptr<Queue> queue = device->make_queue();
  int64_t checked = 0;
  for (OpCase op_case : all_cases()) {
    if (op_case.op != rule.backward || !wanted(op_case)) continue;
    int64_t numbers = 0;
    for (const auto& [name, array] : op_case.arrays) numbers += array.rows * array.cols;
    if (numbers > 1500) continue;  // each number costs two runs of the reference
    // Gradients alone: nothing under them, nothing reversed, none of what went into a ReLU before.
    for (const auto& [input, gradient] : rule.inputs) {
      const bool in_place = rule.outputs.count(input) > 0;
      if (op_case.arrays.count(gradient) == 0 || in_place) continue;
      std::vector<double>& values = op_case.arrays[gradient].values;
      if (op_case.arrays[gradient].role == Role::accumulated) {
        std::fill(values.begin(), values.end(), 0.0);
      }
    }
    if (op_case.scalars.count("alpha") > 0) op_case.scalars["alpha"] = 1;
    op_case.scalars["mask_dx"] = 0;
    SCOPED_TRACE(how_to_repeat(op_case, device->ops().name));

    OpArguments arguments(op_case);
    const reference::Arguments original = as_seen(op_case, arguments);
    if (!op_case.forward.empty()) bind_op(op_case.forward, device->ops(), *queue, arguments)();
    bind_op(op_case.op, device->ops(), *queue, arguments)();
    for (const auto& [input, gradient] : rule.inputs) {
      if (op_case.arrays.count(gradient) == 0) continue;
      std::vector<double> slopes;
      for (size_t i = 0; i < original.arrays.at(input).values.size(); ++i) {
        constexpr double kStep = 1e-5;
        reference::Arguments moved = original;
        moved.arrays[input].values[i] += kStep;
        const double above = objective(rule, input, moved, original);
        moved.arrays[input].values[i] -= 2 * kStep;
        slopes.push_back((above - objective(rule, input, moved, original)) / (2 * kStep));
        ++checked;
      }
      expect_close(arguments.values(gradient), slopes, 2e-5, gradient);
      if (HasFailure()) return;
    }
  }
  EXPECT_TRUE(checked > 100 || std::getenv("ALM_CASE") != nullptr);
}

// --- the table
// --------------------------------------------------------------------------------------

TEST(OpTable, HasNoNullEntryOnAnyLevel) {
  for (const std::string& level : cpu_simd_levels()) {
    const std::unique_ptr<Device> device = make_cpu_device(level);
    EXPECT_EQ(device->ops().name, level);
    for (const std::string& op : op_names()) EXPECT_TRUE(has_op(device->ops(), op)) << op;
  }
}

TEST(OpTable, SupportMatrixShowsMissingEntries) {
  Ops partial{};
  partial.name = "partial";
  partial.accumulate = [](Queue&, const Accumulate&) {};
  for (const std::string& op : op_names()) EXPECT_EQ(has_op(partial, op), op == "accumulate");
}

TEST(OpTable, EveryOpHasAPerformanceCaseThatRuns) {
  const std::unique_ptr<Device> device = make_cpu_device("auto");
  std::map<std::string, int64_t> timed;
  for (const OpCase& op_case : performance_cases()) {
    const OpTiming timing = time_op(op_case, *device, false, 0);
    EXPECT_GT(timing.seconds, 0) << op_case.name;
    EXPECT_GT(timing.gigabytes, 0) << op_case.name;
    ++timed[op_case.op];
  }
  for (const std::string& op : op_names()) EXPECT_GT(timed[op], 0) << op;
}

TEST(OpTable, CaseNamesAreUnique) {
  std::map<std::string, int64_t> seen;
  for (const OpCase& op_case : all_cases()) EXPECT_EQ(++seen[op_case.name], 1) << op_case.name;
  for (const OpCase& op_case : performance_cases())
    EXPECT_EQ(++seen[op_case.name], 1) << op_case.name;
}

}  // namespace
}  // namespace alm
