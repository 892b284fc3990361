// A CUDA stream with its scratch memory, as kernels/device.h asks for it, and the device behind it.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/device.h"

namespace alm::cuda {

// Throws MachineError naming what was done where `error` is one.
void check(cudaError_t error, const char* what);

using alm::Precision;

// Of the GPU this thread uses.
int attribute(cudaDeviceAttr which);

class CudaEvent : public Event {
 public:
  CudaEvent();
  ~CudaEvent() override;
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;
  void wait() override;
  bool reached() override;
  cudaEvent_t event() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

class CudaGraph : public Graph {
 public:
  // Made of a graph that stays the caller's.
  explicit CudaGraph(cudaGraph_t graph);
  ~CudaGraph() override;
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;
  cudaGraphExec_t executable() const { return executable_; }

 private:
  cudaGraphExec_t executable_ = nullptr;
};

class CudaQueue : public Queue {
 public:
  explicit CudaQueue(Precision precision = Precision::fp32);
  ~CudaQueue() override;
  CudaQueue(const CudaQueue&) = delete;
  CudaQueue& operator=(const CudaQueue&) = delete;

  // Device memory, 256-byte aligned. Work queued earlier keeps what it was given until it is done.
  void* scratch(int64_t bytes) override;
  void upload(void* to, const void* from, int64_t bytes) override;
  void download(void* to, const void* from, int64_t bytes) override;
  void copy(MixedMatrix<const float> from, MixedMatrix<float> to) override;
  void clear(void* memory, int64_t bytes) override;
  void wait() override;
  void mark(Event& event) override;
  void wait_for(const Event& event) override;
  std::unique_ptr<Graph> record(const std::function<void()>& work) override;
  void launch(const Graph& graph) override;
  cudaStream_t stream() const { return stream_; }
  Precision precision() const { return precision_; }

 private:
  const Precision precision_;
  cudaStream_t stream_ = nullptr;
  void* memory_ = nullptr;
  int64_t size_ = 0;
};

// The table of kernels/cuda/table.cc.
extern const Ops kOps;

// Of the GPU of this number; the thread that calls uses it from now on.
std::unique_ptr<Device> make_cuda_device(Precision precision = Precision::fp32, int gpu = 0);

}  // namespace alm::cuda
