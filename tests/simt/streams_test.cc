// The streams of the double of the CUDA runtime: correct code gives the same under every seed, and
// each mistake that a GPU may punish is refused, or punished under some seed.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "tests/simt/runtime.h"

namespace {

constexpr uint64_t kSeeds = 12;

// Two streams, two blocks of device memory, one page-locked block of the host.
class CudaStreams : public testing::Test {
 protected:
  CudaStreams() {
    for (cudaStream_t* stream : {&first_, &second_}) {
      EXPECT_EQ(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), cudaSuccess);
    }
    EXPECT_EQ(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), cudaSuccess);
    for (void** memory : {&on_device_, &also_}) EXPECT_EQ(cudaMalloc(memory, 4), cudaSuccess);
    void* memory = nullptr;
    EXPECT_EQ(cudaHostAlloc(&memory, 4, cudaHostAllocDefault), cudaSuccess);
    host_ = static_cast<unsigned char*>(memory);
  }
  ~CudaStreams() override {
    simt::set_stream_schedule(0);
    for (void* memory : {on_device_, also_}) cudaFree(memory);
    cudaFreeHost(host_);
    cudaEventDestroy(event_);
    for (cudaStream_t stream : {first_, second_}) cudaStreamDestroy(stream);
  }
  void set(void* memory, int value, cudaStream_t stream) {
    EXPECT_EQ(cudaMemsetAsync(memory, value, 4, stream), cudaSuccess);
  }
  void copy(void* to, const void* from, cudaMemcpyKind kind, cudaStream_t stream) {
    EXPECT_EQ(cudaMemcpyAsync(to, from, 4, kind, stream), cudaSuccess);
  }
  // What device memory holds when all is done.
  int value_of(const void* memory) {
    unsigned char value[4];
    for (cudaStream_t stream : {first_, second_}) cudaStreamSynchronize(stream);
    copy(value, memory, cudaMemcpyDeviceToHost, first_);
    EXPECT_EQ(cudaStreamSynchronize(first_), cudaSuccess);
    return value[0];
  }
  // Seeds under which `work` leaves another value than `wanted`.
  uint64_t misses(int wanted, const std::function<int()>& work) {
    uint64_t missed = 0;
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      simt::set_stream_schedule(seed);
      missed += work() != wanted;
    }
    return missed;
  }

  cudaStream_t first_ = nullptr;
  cudaStream_t second_ = nullptr;
  cudaEvent_t event_ = nullptr;
  void* on_device_ = nullptr;
  void* also_ = nullptr;
  unsigned char* host_ = nullptr;
};

TEST_F(CudaStreams, AnEventOrdersStreamsAndWithoutItSomeSeedDoesNot) {
  const auto handed_over = [&](bool with_event) {
    set(on_device_, 1, first_);
    cudaStreamSynchronize(first_);
    set(on_device_, 2, first_);
    if (with_event) {
      EXPECT_EQ(cudaEventRecord(event_, first_), cudaSuccess);
      EXPECT_EQ(cudaStreamWaitEvent(second_, event_, 0), cudaSuccess);
    }
    copy(also_, on_device_, cudaMemcpyDeviceToDevice, second_);
    return value_of(also_);
  };
  EXPECT_EQ(misses(2, [&] { return handed_over(true); }), 0u);
  const uint64_t missed = misses(2, [&] { return handed_over(false); });
  EXPECT_GT(missed, 2u);
  EXPECT_LT(missed, kSeeds) << "an order that is always wrong proves nothing of chance";
}

TEST_F(CudaStreams, PageLockedMemoryIsReadLateAndOtherMemoryAtTheCall) {
  const auto overwritten = [&](unsigned char* from) {
    std::memset(from, 3, 4);
    copy(on_device_, from, cudaMemcpyHostToDevice, first_);
    std::memset(from, 4, 4);
    return value_of(on_device_);
  };
  unsigned char pageable[4];
  EXPECT_EQ(misses(3, [&] { return overwritten(pageable); }), 0u);
  EXPECT_GT(misses(3, [&] { return overwritten(host_); }), kSeeds / 2);
}

TEST_F(CudaStreams, TheHostReadsUnfinishedWorkBeforeItWaits) {
  const auto read = [&](bool wait) {
    std::memset(host_, 5, 4);
    set(on_device_, 6, first_);
    copy(host_, on_device_, cudaMemcpyDeviceToHost, first_);
    EXPECT_EQ(cudaEventRecord(event_, first_), cudaSuccess);
    if (wait) {
      EXPECT_EQ(cudaEventSynchronize(event_), cudaSuccess);
    }
    const int value = host_[0];
    cudaStreamSynchronize(first_);
    return value;
  };
  EXPECT_EQ(misses(6, [&] { return read(true); }), 0u);
  EXPECT_GT(misses(6, [&] { return read(false); }), kSeeds / 2);
}

TEST_F(CudaStreams, TellsTheTimeOfEventsThatHaveItAndWereReached) {
  cudaEvent_t timed[2] = {};
  for (cudaEvent_t& event : timed) {
    EXPECT_EQ(cudaEventCreateWithFlags(&event, cudaEventDefault), cudaSuccess);
    EXPECT_EQ(cudaEventRecord(event, first_), cudaSuccess);
    set(on_device_, 1, first_);
  }
  EXPECT_EQ(cudaEventRecord(event_, first_), cudaSuccess);
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, timed[0], timed[1]), cudaErrorNotReady);
  cudaStreamSynchronize(first_);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, timed[0], timed[1]), cudaSuccess);
  EXPECT_GE(milliseconds, 0);
  EXPECT_NE(cudaEventElapsedTime(&milliseconds, timed[0], event_), cudaSuccess) << "has no time";
  for (cudaEvent_t event : timed) cudaEventDestroy(event);
}

TEST_F(CudaStreams, RefusesTheNullStreamAndCopiesTheWrongWayRound) {
  EXPECT_NE(cudaMemsetAsync(on_device_, 0, 4, nullptr), cudaSuccess);
  EXPECT_NE(cudaStreamSynchronize(nullptr), cudaSuccess);
  EXPECT_NE(cudaEventRecord(event_, nullptr), cudaSuccess);
  EXPECT_NE(cudaMemcpyAsync(on_device_, host_, 4, cudaMemcpyDeviceToHost, first_), cudaSuccess);
  EXPECT_NE(cudaMemcpyAsync(host_, on_device_, 4, cudaMemcpyHostToDevice, first_), cudaSuccess);
  cudaStream_t blocking = nullptr;
  EXPECT_NE(cudaStreamCreateWithFlags(&blocking, cudaStreamDefault), cudaSuccess);
}

TEST_F(CudaStreams, AGraphRunsWhenItIsLaunchedAsOftenAsItIs) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    simt::set_stream_schedule(seed);
    set(on_device_, 7, first_);
    set(also_, 8, first_);
    ASSERT_EQ(cudaStreamBeginCapture(first_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    copy(also_, on_device_, cudaMemcpyDeviceToDevice, first_);
    void* memory = nullptr;
    EXPECT_NE(cudaMalloc(&memory, 4), cudaSuccess) << "while a graph is recorded";
    EXPECT_NE(cudaStreamSynchronize(first_), cudaSuccess) << "while a graph is recorded";
    cudaGraph_t graph = nullptr;
    ASSERT_EQ(cudaStreamEndCapture(first_, &graph), cudaSuccess);
    cudaGraphExec_t executable = nullptr;
    ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    EXPECT_EQ(value_of(also_), 8) << "recording runs nothing";
    for (const int value : {9, 10}) {
      set(on_device_, value, first_);
      EXPECT_EQ(cudaGraphLaunch(executable, first_), cudaSuccess);
      EXPECT_EQ(value_of(also_), value);
    }
    EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
  }
}

TEST_F(CudaStreams, AStreamJoinsAGraphByAnEventAndMustBeWaitedFor) {
  const auto forked = [&](bool joined_again) {
    EXPECT_EQ(cudaStreamBeginCapture(first_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    set(on_device_, 11, first_);
    EXPECT_EQ(cudaEventRecord(event_, first_), cudaSuccess);
    EXPECT_EQ(cudaStreamWaitEvent(second_, event_, 0), cudaSuccess);
    set(also_, 12, second_);
    if (joined_again) {
      EXPECT_EQ(cudaEventRecord(event_, second_), cudaSuccess);
      EXPECT_EQ(cudaStreamWaitEvent(first_, event_, 0), cudaSuccess);
      copy(also_, on_device_, cudaMemcpyDeviceToDevice, first_);
    }
    cudaGraph_t graph = nullptr;
    const cudaError_t error = cudaStreamEndCapture(first_, &graph);
    cudaGraphExec_t executable = nullptr;
    EXPECT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
    EXPECT_EQ(cudaGraphLaunch(executable, first_), cudaSuccess);
    const int value = value_of(also_);
    EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    EXPECT_EQ(error == cudaSuccess, joined_again);
    return value;
  };
  EXPECT_EQ(misses(11, [&] { return forked(true); }), 0u);
  forked(false);
}

}  // namespace
