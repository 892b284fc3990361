// Every op of the CUDA table, in fp32 and in bf16 (every_case.h).
#include "kernels/cuda/queue.h"
#include "tests/simt/bf16_reference.h"
#include "tests/simt/every_case.h"

namespace alm {
namespace {

std::string name_of(const testing::TestParamInfo<std::string>& test) {
  return test.param;
}

class EveryCudaOp : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Op, EveryCudaOp, testing::ValuesIn(op_names()), name_of);

TEST_P(EveryCudaOp, EqualsTheReferenceAndItselfUnderEverySchedule) {
  expect_every_case(GetParam(), *cuda::make_cuda_device(Precision::fp32),
                    [](const OpCase& op_case, reference::Arguments& arguments) {
                      reference::run(op_case.op, arguments);
                    });
}

// In bf16 the reference rounds what the tensor cores round and what is held in memory between two
// kernels, so that the bound is that of sums in fp32, not the 2^-8 of a rounded number.
class EveryBf16Op : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Op, EveryBf16Op, testing::ValuesIn(ops_with_bf16()), name_of);

TEST_P(EveryBf16Op, EqualsTheReferenceAndItselfUnderEverySchedule) {
  expect_every_case(GetParam(), *cuda::make_cuda_device(Precision::bf16),
                    [](const OpCase& op_case, reference::Arguments& arguments) {
                      run_in_bf16(op_case.op, arguments);
                    });
}

TEST(CudaTable, HasNoNullEntry) {
  for (const std::string& op : op_names()) EXPECT_TRUE(has_op(cuda::kOps, op)) << op;
}

}  // namespace
}  // namespace alm
