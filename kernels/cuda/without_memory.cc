#include "kernels/cuda/queue.h"
#include "kernels/device_without_memory.h"

namespace alm::cuda {
namespace {

// Has every product and makes none.
class IdleLibrary final : public LibraryProducts {
 public:
  explicit IdleLibrary(int64_t workspace_bytes) : workspace_bytes_(workspace_bytes) {}
  std::string name() const override { return "no library"; }
  bool has(const LibraryProduct&) override { return true; }
  int64_t workspace_bytes() const override { return workspace_bytes_; }
  void run(cudaStream_t, const LibraryProduct&, void*) override {}

 private:
  const int64_t workspace_bytes_;
};

class CudaWithoutMemory final : public DeviceWithoutMemory {
 public:
  CudaWithoutMemory(Precision precision, const std::optional<ProductChoice>& choice)
      : DeviceWithoutMemory(kOps, precision, Host::may_not_look), choice_(choice) {
    if (choice_) library_ = std::make_unique<IdleLibrary>(choice_->library_bytes);
  }
  std::unique_ptr<Queue> make_queue() override {
    return std::make_unique<IdleQueue<CudaQueue>>(*this, activations_, library_.get(),
                                                  choice_.value_or(ProductChoice()),
                                                  CudaQueue::WithoutStream{});
  }
  std::unique_ptr<DeviceWithoutMemory> without_memory() const override {
    return make_cuda_without_memory(activations_, choice_);
  }

 private:
  const std::optional<ProductChoice> choice_;
  std::unique_ptr<LibraryProducts> library_;
};

}  // namespace

std::unique_ptr<DeviceWithoutMemory> make_cuda_without_memory(
    Precision precision, const std::optional<ProductChoice>& choice) {
  return std::make_unique<CudaWithoutMemory>(precision, choice);
}

}  // namespace alm::cuda
