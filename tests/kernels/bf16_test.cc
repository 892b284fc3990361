// The tables of the CPU whose products are of bf16 numbers, against a double-precision reference
// that rounds the same operands: so they are held to the error of sums in fp32.
#if defined(__x86_64__)

#include "kernels/cpu/bf16.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <thread>

#include "kernels/touch_head.h"
#include "tests/kernels/op_check.h"

namespace alm {
namespace {

void round(reference::Arguments& a, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    for (double& value : a[name].values) value = to_bf16(value);
  }
}

// A layer of one column has no product of matrices: it is as in fp32.
void reference_in_bf16(const std::string& op, reference::Arguments& a) {
  if (a["w"].cols == 1) return reference::run(op, a);
  if (op == "linear_forward") {
    round(a, {"x", "w"});
    return reference::run(op, a);
  }
  reference::Arguments rounded = a;
  reference::run(op, a);  // the masked gradient and its column sums
  // The mask is of y as it is; what it leaves of d_y is a factor.
  round(rounded, {"x", "w", "d_y"});
  reference::run(op, rounded);
  for (const char* name : {"d_x", "d_w"}) {
    if (a.has(name)) a[name] = rounded[name];
  }
}

// A touch head of these layers: a table whose head is made of them stands in for its own.
const Ops* layers_of_head = nullptr;
void run_by_layers(const Ops& layers, Queue& queue, const std::string& op, OpArguments& arguments) {
  layers_of_head = &layers;
  Ops head = layers;
  head.touch_head_forward = [](Queue& on, const TouchHeadForward& a) {
    touch_head_forward_by_parts(*layers_of_head, on, a);
  };
  head.touch_head_backward = [](Queue& on, const TouchHeadBackward& a) {
    touch_head_backward_by_parts(*layers_of_head, on, a);
  };
  bind_op(op, head, queue, arguments)();
}

constexpr const char* kNone = "this processor has no products in bf16 (avx512_bf16)";

class InBf16 : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (cpu_ops_in_bf16().empty()) GTEST_SKIP() << kNone;
  }
};

INSTANTIATE_TEST_SUITE_P(Op, InBf16, testing::Values("linear_forward", "linear_backward"),
                         [](const auto& test) { return test.param; });

TEST_P(InBf16, EqualsTheReferenceThatRoundsTheOperands) {
  const std::unique_ptr<Device> device = make_cpu_device("auto", Precision::bf16);
  const std::unique_ptr<Queue> queue = device->make_queue();
  for (const Ops* table : cpu_ops_in_bf16()) {
    int64_t ran = 0;
    for (const OpCase& op_case : correctness_cases()) {
      if (op_case.op != GetParam()) continue;
      ++ran;
      SCOPED_TRACE(op_case.name + " of " + table->name);
      OpArguments arguments(op_case);
      if (!op_case.forward.empty()) bind_op(op_case.forward, *table, *queue, arguments)();
      const OpArguments before = arguments;
      reference::Arguments expected = as_seen(op_case, before);
      std::memset(queue->scratch(1 << 22), 0xff, 1 << 22);
      bind_op(op_case.op, *table, *queue, arguments)();
      reference_in_bf16(op_case.op, expected);
      expect_as_reference(op_case, arguments, before, expected);
      if (HasFailure()) return;
    }
    EXPECT_GT(ran, 20);
  }
}

// The head gives the bits that its layers give one by one, and others than in fp32.
TEST(TouchHeadInBf16, IsMadeOfLayersInBf16) {
  if (cpu_ops_in_bf16().empty()) GTEST_SKIP() << kNone;
  const std::unique_ptr<Device> fp32 = make_cpu_device("auto");
  const std::unique_ptr<Queue> queue = fp32->make_queue();
  for (const Ops* table : cpu_ops_in_bf16()) {
    Ops layers = fp32->ops();
    layers.linear_forward = table->linear_forward;
    layers.linear_backward = table->linear_backward;
    std::map<std::string, int64_t> other_than_fp32;
    for (const OpCase& op_case : correctness_cases()) {
      const bool backward = op_case.op == "touch_head_backward";
      if (!backward && op_case.op != "touch_head_forward") continue;
      SCOPED_TRACE(op_case.name + " of " + table->name);
      OpArguments whole(op_case), by_layers(op_case), exact(op_case);
      for (const std::string& op : {op_case.forward, op_case.op}) {
        if (op.empty()) continue;
        bind_op(op, *table, *queue, whole)();
        bind_op(op, fp32->ops(), *queue, exact)();
        run_by_layers(layers, *queue, op, by_layers);
      }
      for (const auto& [name, array] : op_case.arrays) {
        EXPECT_EQ(whole.memory(name), by_layers.memory(name)) << name;
        if (whole.memory(name) != exact.memory(name)) ++other_than_fp32[op_case.op + name];
      }
    }
    for (const char* of : {"touch_head_forwardlogit", "touch_head_backwardd_x",
                           "touch_head_backwardd_w_touch", "touch_head_backwardd_w_context"}) {
      EXPECT_GT(other_than_fp32[of], 0) << of << " of " << table->name;
    }
  }
}

TEST(Bf16Device, IsRefusedWhereTheLevelHasNone) {
  for (const std::string& level : cpu_simd_levels()) {
    if (level == "avx512" && !cpu_ops_in_bf16().empty()) continue;
    EXPECT_THROW(make_cpu_device(level, Precision::bf16), UserError) << level;
  }
}

// Tiles are registers of a thread, which the process has leave to use.
TEST(Bf16Device, GivesTheSameBitsOnTwoThreadsAtOnce) {
  if (cpu_ops_in_bf16().empty()) GTEST_SKIP() << kNone;
  const std::vector<OpCase> cases = correctness_cases();
  const auto of = std::ranges::find_if(cases, [](const OpCase& op_case) {
    return op_case.op == "linear_backward" && op_case.arrays.at("x").rows > 100;
  });
  ASSERT_NE(of, cases.end());
  for (const Ops* table : cpu_ops_in_bf16()) {
    const auto run = [&](std::vector<OpArguments>& results) {
      const std::unique_ptr<Device> device = make_cpu_device("auto", Precision::bf16);
      const std::unique_ptr<Queue> queue = device->make_queue();
      for (int time = 0; time < 100; ++time) {
        OpArguments& arguments = results.emplace_back(*of);
        bind_op(of->forward, *table, *queue, arguments)();
        bind_op(of->op, *table, *queue, arguments)();
      }
    };
    std::vector<OpArguments> here, there;
    std::thread beside([&] { run(there); });
    run(here);
    beside.join();
    for (const std::vector<OpArguments>* results : {&here, &there}) {
      for (const OpArguments& result : *results) {
        for (const auto& [name, array] : of->arrays) {
          ASSERT_EQ(result.memory(name), here.front().memory(name)) << name << table->name;
        }
      }
    }
  }
}

// What is not finite stays so, and stays in its row.
TEST(Bf16Device, KeepsNanAndInfinity) {
  if (cpu_ops_in_bf16().empty()) GTEST_SKIP() << kNone;
  for (const Ops* table : cpu_ops_in_bf16()) {
    const std::unique_ptr<Device> device = make_cpu_device("auto");
    const std::unique_ptr<Queue> queue = device->make_queue();
    constexpr int64_t kRows = 21, kInputs = 19, kWidth = 33;
    std::vector<float> x(kRows * kInputs, 1), w(kInputs * kWidth, 1), y(kRows * kWidth);
    x[3 * kInputs + 18] = std::numeric_limits<float>::quiet_NaN();
    x[20 * kInputs] = std::numeric_limits<float>::infinity();
    x[7 * kInputs] = std::bit_cast<float>(0x7f800001u);  // a NaN whose upper half is infinity
    table->linear_forward(*queue, {.x = {x.data(), kRows, kInputs},
                                   .w = {w.data(), kInputs, kWidth},
                                   .bias = {},
                                   .y = {y.data(), kRows, kWidth},
                                   .relu = true});
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t c = 0; c < kWidth; ++c) {
        const float value = y[static_cast<size_t>(r * kWidth + c)];
        if (r == 3 || r == 7) {
          EXPECT_TRUE(std::isnan(value)) << table->name << r << "," << c;
        } else {
          EXPECT_EQ(value, r == 20 ? std::numeric_limits<float>::infinity() : kInputs)
              << table->name << r << "," << c;
        }
      }
    }
  }
}

}  // namespace
}  // namespace alm

#endif
