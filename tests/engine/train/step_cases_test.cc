// The list of ops that stands for a training step where no engine runs (kernels/op_cases.h) has as
// many of each as the model calls.
#include <gtest/gtest.h>

#include <map>

#include "engine/comm/communicator.h"
#include "engine/train/bench_step.h"
#include "kernels/op_cases.h"

namespace alm {
namespace {

TEST(StepCases, HoldAsManyOfEachOpAsTheModelCalls) {
  Compute compute(make_cpu_device("auto"), 1);
  const std::unique_ptr<Communicator> world = make_self_communicator();
  ModelOptions model = model_options_by_name("reference");
  model.cat_rows = model.item_rows = 1 << 10;
  const StepBench bench = bench_steps({.model = model,
                                       .shape = shape_by_name("reference"),
                                       .batch = 64,
                                       .steps = 1,
                                       .profile = true,
                                       .compute = compute,
                                       .world = *world});
  std::map<std::string, int64_t> called;
  for (const OpCost& cost : bench.costs) called[cost.name] = cost.calls;
  std::map<std::string, int64_t> listed;
  for (const OpCase& op_case : step_cases(2)) ++listed[op_case.op];
  const int64_t blocks = called["separable_loss"];
  ASSERT_GT(blocks, 0);
  // The optimiser and the sums over blocks call others.
  for (const char* op :
       {"dense_features", "gather_rows", "linear_forward", "linear_backward",
        "join_context_forward", "join_context_backward", "attention_forward", "attention_backward",
        "pool_forward", "pool_backward", "touch_head_forward", "touch_head_backward"}) {
    EXPECT_EQ(called[op], blocks * listed[op]) << op;
  }
}

}  // namespace
}  // namespace alm
