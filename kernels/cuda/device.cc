#include <string>

#include "kernels/base/text.h"
#include "kernels/cuda/queue.h"

namespace alm::cuda {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw MachineError(std::string("CUDA: ") + what + ": " + cudaGetErrorString(error));
}

CudaQueue::CudaQueue(Precision precision) : precision_(precision) {
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
}

CudaQueue::~CudaQueue() {
  cudaStreamSynchronize(stream_);
  cudaFree(memory_);
  cudaStreamDestroy(stream_);
}

void* CudaQueue::scratch(int64_t bytes) {
  if (bytes > size_) {
    // Room to spare, so that batches of slightly different sizes settle after the first.
    const int64_t size = bytes + bytes / 2;
    check(cudaFree(memory_), "freeing scratch memory");
    memory_ = nullptr;
    size_ = 0;
    check(cudaMalloc(&memory_, static_cast<size_t>(size)), "allocating scratch memory");
    size_ = size;
  }
  return memory_;
}

void CudaQueue::upload(void* to, const void* from, int64_t bytes) {
  check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream_),
        "copying to the device");
}

void CudaQueue::download(void* to, const void* from, int64_t bytes) {
  check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream_),
        "copying from the device");
}

void CudaQueue::wait() {
  check(cudaStreamSynchronize(stream_), "running the queued work");
}

namespace {

class CudaDevice : public Device {
 public:
  explicit CudaDevice(Precision precision) : precision_(precision) {}
  std::string describe() const override { return "cuda"; }
  const Ops& ops() const override { return kOps; }
  std::unique_ptr<Queue> make_queue() override { return std::make_unique<CudaQueue>(precision_); }
  void* allocate(int64_t bytes) override {
    void* memory = nullptr;
    const cudaError_t error = cudaMalloc(&memory, static_cast<size_t>(bytes > 0 ? bytes : 1));
    if (error != cudaSuccess) {
      throw MachineError("CUDA: out of memory: " + human_bytes(static_cast<double>(bytes)) +
                         " wanted (use a smaller batch): " + cudaGetErrorString(error));
    }
    check(cudaMemsetAsync(memory, 0, static_cast<size_t>(bytes), clearing_.stream()),
          "clearing memory");
    clearing_.wait();
    return memory;
  }
  void release(void* memory) override { check(cudaFree(memory), "freeing memory"); }

 private:
  const Precision precision_;
  CudaQueue clearing_;
};

}  // namespace

std::unique_ptr<Device> make_cuda_device(Precision precision) {
  return std::make_unique<CudaDevice>(precision);
}

}  // namespace alm::cuda
