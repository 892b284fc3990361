// A CUDA stream with its scratch memory, as kernels/device.h asks for it, and the device behind it.
#pragma once

#include <cuda_runtime_api.h>

#include <optional>

#include "kernels/cuda/library_products.h"
#include "kernels/cuda/product_choice.h"
#include "kernels/device.h"

namespace alm::cuda {

// Throws MachineError naming what was done where `error` is one.
void check(cudaError_t error, const char* what);

using alm::Precision;

// Of the GPU this thread uses.
int attribute(cudaDeviceAttr which);

class CudaEvent : public Event {
 public:
  explicit CudaEvent(bool with_time);
  ~CudaEvent() override;
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;
  void wait() override;
  bool reached() override;
  double seconds_since(const Event& earlier) const override;
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
  // `library` makes the products that `choice` gives it; null: there is none. It must outlive the
  // queue.
  explicit CudaQueue(Precision precision = Precision::fp32, LibraryProducts* library = nullptr,
                     const ProductChoice& choice = {});
  // Ops take scratch and launch nothing; needs no driver. For IdleQueue.
  struct WithoutStream {};
  CudaQueue(Precision precision, LibraryProducts* library, const ProductChoice& choice,
            WithoutStream)
      : precision_(precision), library_(library), choice_(choice) {}
  ~CudaQueue() override;
  CudaQueue(const CudaQueue&) = delete;
  CudaQueue& operator=(const CudaQueue&) = delete;

  // Device memory, 256-byte aligned. Work queued earlier keeps what it was given until it is done.
  void* scratch(int64_t bytes) override;
  int64_t scratch_bytes() const override { return size_; }
  void upload(void* to, const void* from, int64_t bytes) override;
  void download(void* to, const void* from, int64_t bytes) override;
  void copy(MixedMatrix<const float> from, MixedMatrix<float> to) override;
  void clear(void* memory, int64_t bytes) override;
  void wait() override;
  void mark(Event& event) override;
  void wait_for(const Event& event) override;
  std::unique_ptr<Graph> record(const std::function<void()>& work) override;
  std::unique_ptr<Graph> cut_recording() override;
  void launch(const Graph& graph) override;
  cudaStream_t stream() const { return stream_; }
  Precision precision() const { return precision_; }
  // Who multiplies in a layer of these widths; null: own kernels.
  LibraryProducts* library_for(int64_t in, int64_t out) const {
    const int64_t from = choice_.library_from(precision_);
    return in >= from && out >= from ? library_ : nullptr;
  }
  const ProductChoice& choice() const { return choice_; }

 private:
  void begin_recording();
  std::unique_ptr<Graph> end_recording();

  const Precision precision_;
  LibraryProducts* const library_;
  const ProductChoice choice_;
  cudaStream_t stream_ = nullptr;
  void* memory_ = nullptr;
  int64_t size_ = 0;
};

// Has profilers show the ranges of kernels/base/range.h (NVTX). Without one they cost a look.
void show_ranges();

// The table of kernels/cuda/table.cc.
extern const Ops kOps;

class CudaDevice : public Device {
 public:
  // Of the GPU this thread uses. Without a choice all products are by own kernels.
  CudaDevice(Precision precision, const std::optional<ProductChoice>& choice);
  std::string describe() const override;
  // Who makes which products, in a line.
  const std::string& products() const { return products_; }
  const Ops& ops() const override { return kOps; }
  Precision activations() const override { return precision_; }
  std::unique_ptr<Queue> make_queue() override;
  std::unique_ptr<Event> make_event() override { return std::make_unique<CudaEvent>(false); }
  std::unique_ptr<Event> make_event_with_time() override {
    return std::make_unique<CudaEvent>(true);
  }
  std::unique_ptr<DeviceWithoutMemory> without_memory() const override;
  void* allocate(int64_t bytes) override;
  // What these two could report is an error of work queued earlier, which wait() has told.
  void release(void* memory) override { cudaFree(memory); }
  void* allocate_host(int64_t bytes) override;
  void release_host(void* memory) override { cudaFreeHost(memory); }

 private:
  const Precision precision_;
  std::unique_ptr<LibraryProducts> library_;
  const ProductChoice choice_;
  std::string products_;
  CudaQueue clearing_;
};

// Of the GPU of this number; the thread that calls uses it from now on.
std::unique_ptr<CudaDevice> make_cuda_device(
    Precision precision = Precision::fp32, int gpu = 0,
    const std::optional<ProductChoice>& choice = std::nullopt);
// Needs no driver. With a choice as if there were a library, which has code for every product.
std::unique_ptr<DeviceWithoutMemory> make_cuda_without_memory(
    Precision precision, const std::optional<ProductChoice>& choice = std::nullopt);

}  // namespace alm::cuda
