// What kernels/cuda/cublaslt.cc asks of the library: once a shape, and in the words of its
// reference. The double refuses the rest.
#include <gtest/gtest.h>

#include "kernels/cuda/queue.h"
#include "kernels/gpu_versions.h"
#include "tests/simt/cublaslt_double.h"
#include "tests/simt/runtime.h"

namespace alm {
namespace {

using cuda::LibraryProduct;
using cuda::LibraryProducts;

constexpr int64_t kRoom = 4096;

class CublasLtTest : public testing::Test {
 protected:
  CublasLtTest() : library_(cuda::make_library_products(kRoom, why_not_)) {
    numbers_ = static_cast<float*>(device_->allocate(int64_t{4} * 4096));
    workspace_ = device_->allocate(kRoom);
  }
  ~CublasLtTest() override {
    simt::cublaslt_most_columns() = -1;
    simt::cublaslt_lacks_sums() = false;
    device_->release(numbers_);
    device_->release(workspace_);
  }
  MixedMatrix<float> matrix(int64_t first, int64_t rows, int64_t cols) const {
    return {numbers_ + first, rows, cols};
  }
  // [5, 8] = [5, 7] [7, 8].
  LibraryProduct product() const {
    return {.left = matrix(0, 5, 7), .right = matrix(512, 7, 8), .result = matrix(1024, 5, 8)};
  }
  void run(const LibraryProduct& of) { library_->run(queue_.stream(), of, workspace_); }

  std::string why_not_;
  std::unique_ptr<LibraryProducts> library_;
  std::unique_ptr<Device> device_ = cuda::make_cuda_device();
  cuda::CudaQueue queue_;
  float* numbers_ = nullptr;
  void* workspace_ = nullptr;
};

TEST_F(CublasLtTest, SaysItsVersion) {
  ASSERT_NE(library_, nullptr) << why_not_;
  EXPECT_EQ(library_->name(), "cuBLASLt 99.1.0");
  EXPECT_TRUE(cublaslt_versions().starts_with("built with ")) << cublaslt_versions();
  EXPECT_TRUE(cublaslt_versions().ends_with(", found 99.1.0")) << cublaslt_versions();
}

TEST_F(CublasLtTest, LooksForAnAlgorithmOnceAShapeAndAllocatesNothing) {
  EXPECT_TRUE(library_->has(product()));
  const simt::CublasLtCalls before = simt::cublaslt_calls();
  const int64_t allocations = simt::runtime_calls().allocations;
  for (int time = 0; time < 3; ++time) run(product());
  queue_.wait();
  EXPECT_EQ(simt::cublaslt_calls().searches, before.searches);
  EXPECT_EQ(simt::cublaslt_calls().products, before.products + 3);
  EXPECT_EQ(simt::runtime_calls().allocations, allocations);
  LibraryProduct other = product();
  other.right = {numbers_ + 512, 7, 8, 9, Precision::fp32};
  EXPECT_TRUE(library_->has(other));
  EXPECT_EQ(simt::cublaslt_calls().searches, before.searches + 1);
}

TEST_F(CublasLtTest, SaysWhatItHasNoCodeFor) {
  simt::cublaslt_most_columns() = 7;
  EXPECT_FALSE(library_->has(product()));
  LibraryProduct in_both = product();
  in_both.result.precision = Precision::bf16;
  simt::cublaslt_most_columns() = -1;
  EXPECT_FALSE(library_->has(in_both)) << "factors in fp32, the result in bf16";
}

TEST_F(CublasLtTest, TellsTheLibrarysErrorsInItsWords) {
  std::vector<float> of_host(64);
  LibraryProduct from_host = product();
  from_host.left.data = of_host.data();
  LibraryProduct unaligned = product();
  unaligned.bias = numbers_ + 2049;
  LibraryProduct onto_itself = product();
  onto_itself.result = matrix(0, 5, 8);
  for (const LibraryProduct& wrong : {from_host, unaligned, onto_itself}) {
    EXPECT_TRUE(library_->has(wrong));
    EXPECT_THROW(run(wrong), MachineError);
  }
  EXPECT_THROW(library_->run(queue_.stream(), product(), nullptr), MachineError);
  EXPECT_THROW(library_->run(nullptr, product(), workspace_), MachineError) << "the null stream";
  run(product());
  queue_.wait();
}

// What own kernels make of a layer of 16 to 16 is what they make where the library cannot.
TEST_F(CublasLtTest, LeavesShapesWithoutCodeToOwnKernels) {
  constexpr cuda::ProductChoice kAll{
      .library_from_bf16 = 1, .library_from_fp32 = 1, .library_bytes = kRoom};
  struct Lack {
    int64_t most_columns;
    bool sums;
    int64_t products;
  };
  std::vector<std::vector<float>> results;
  for (const Lack& lack : {Lack{-1, false, 2}, {15, false, 0}, {16, false, 2}, {-1, true, 2}}) {
    simt::cublaslt_most_columns() = lack.most_columns;
    simt::cublaslt_lacks_sums() = lack.sums;
    const auto device = cuda::make_cuda_device(Precision::fp32, 0, kAll);
    const std::unique_ptr<Queue> queue = device->make_queue();
    std::vector<float> start(2048);
    for (size_t i = 0; i < start.size(); ++i) start[i] = 0.01f * static_cast<float>(i % 29) - 0.1f;
    queue->upload(numbers_, start.data(), std::ssize(start) * int64_t{sizeof(float)});
    const simt::CublasLtCalls before = simt::cublaslt_calls();
    device->ops().linear_backward(*queue, {.x = matrix(0, 9, 16),
                                           .w = {numbers_ + 256, 16, 16},
                                           .y = {},
                                           .d_y = matrix(512, 9, 16),
                                           .d_x = matrix(768, 9, 16),
                                           .d_w = {numbers_ + 1024, 16, 16},
                                           .d_bias = {numbers_ + 1280, 16}});
    EXPECT_EQ(simt::cublaslt_calls().products - before.products, lack.products);
    results.emplace_back(2048);
    queue->download(results.back().data(), numbers_, std::ssize(start) * int64_t{sizeof(float)});
    queue->wait();
  }
  EXPECT_EQ(results[0], results[2]);
  for (size_t i = 0; i < results[0].size(); ++i) {
    EXPECT_NEAR(results[0][i], results[1][i], 1e-5) << i;
    EXPECT_NEAR(results[0][i], results[3][i], 1e-5) << i;
  }
}

}  // namespace
}  // namespace alm
