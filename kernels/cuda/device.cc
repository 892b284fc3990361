#include <string>

#include "kernels/base/text.h"
#include "kernels/cuda/queue.h"
#include "kernels/device_without_memory.h"

namespace alm::cuda {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw MachineError(std::string("CUDA: ") + what + ": " + cudaGetErrorString(error));
}

int attribute(cudaDeviceAttr which) {
  int gpu = 0, value = 0;
  check(cudaGetDevice(&gpu), "asking for the GPU in use");
  check(cudaDeviceGetAttribute(&value, which, gpu), "asking for an attribute");
  return value;
}

CudaEvent::CudaEvent(bool with_time) {
  check(cudaEventCreateWithFlags(&event_, with_time ? cudaEventDefault : cudaEventDisableTiming),
        "creating an event");
}

CudaEvent::~CudaEvent() {
  cudaEventDestroy(event_);
}

void CudaEvent::wait() {
  check(cudaEventSynchronize(event_), "running the queued work");
}

bool CudaEvent::reached() {
  const cudaError_t state = cudaEventQuery(event_);
  if (state == cudaErrorNotReady) return false;
  check(state, "running the queued work");
  return true;
}

double CudaEvent::seconds_since(const Event& earlier) const {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, static_cast<const CudaEvent&>(earlier).event_, event_),
        "reading the time between two events");
  return 1e-3 * double{milliseconds};
}

CudaGraph::CudaGraph(cudaGraph_t graph) {
  check(cudaGraphInstantiate(&executable_, graph, 0), "making a graph");
}

CudaGraph::~CudaGraph() {
  cudaGraphExecDestroy(executable_);
}

CudaQueue::CudaQueue(Precision precision, LibraryProducts* library, const ProductChoice& choice)
    : precision_(precision), library_(library), choice_(choice) {
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
}

CudaQueue::~CudaQueue() {
  if (stream_ == nullptr) return;
  cudaStreamSynchronize(stream_);
  cudaFree(memory_);
  cudaStreamDestroy(stream_);
}

MachineError out_of_memory(int64_t bytes) {
  size_t free = 0, all = 0;
  cudaMemGetInfo(&free, &all);
  const auto text = [](auto count) { return human_bytes(static_cast<double>(count)); };
  return MachineError("CUDA: out of memory of the GPU: " + text(bytes) + " wanted, " + text(free) +
                      " of " + text(all) +
                      " free (use a smaller --batch, or smaller --item-rows and --cat-rows)");
}

void* CudaQueue::scratch(int64_t bytes) {
  if (bytes > size_) {
    const int64_t size = scratch_room(bytes);
    check(cudaFree(memory_), "freeing scratch memory");
    memory_ = nullptr;
    size_ = 0;
    const cudaError_t error = cudaMalloc(&memory_, static_cast<size_t>(size));
    if (error == cudaErrorMemoryAllocation) throw out_of_memory(size);
    check(error, "allocating scratch memory");
    size_ = size;
  }
  return memory_;
}

void CudaQueue::upload(void* to, const void* from, int64_t bytes) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream_),
        "copying to the device");
}

void CudaQueue::download(void* to, const void* from, int64_t bytes) {
  if (bytes == 0) return;
  check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream_),
        "copying from the device");
}

void CudaQueue::copy(MixedMatrix<const float> from, MixedMatrix<float> to) {
  ALM_CHECK(from.rows == to.rows && from.cols == to.cols && from.precision == to.precision);
  if (from.empty()) return;
  const auto bytes = [&](int64_t numbers) {
    return static_cast<size_t>(numbers) * (from.precision == Precision::bf16 ? 2 : sizeof(float));
  };
  check(
      cudaMemcpy2DAsync(to.data, bytes(to.stride), from.data, bytes(from.stride), bytes(from.cols),
                        static_cast<size_t>(from.rows), cudaMemcpyDeviceToDevice, stream_),
      "copying rows");
}

void CudaQueue::clear(void* memory, int64_t bytes) {
  if (bytes == 0) return;
  check(cudaMemsetAsync(memory, 0, static_cast<size_t>(bytes), stream_), "clearing memory");
}

void CudaQueue::wait() {
  check(cudaStreamSynchronize(stream_), "running the queued work");
}

void CudaQueue::mark(Event& event) {
  check(cudaEventRecord(static_cast<CudaEvent&>(event).event(), stream_), "recording an event");
}

void CudaQueue::wait_for(const Event& event) {
  check(cudaStreamWaitEvent(stream_, static_cast<const CudaEvent&>(event).event(), 0),
        "waiting for an event");
}

void CudaQueue::begin_recording() {
  check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "recording a graph");
}

std::unique_ptr<Graph> CudaQueue::end_recording() {
  cudaGraph_t recorded = nullptr;
  check(cudaStreamEndCapture(stream_, &recorded), "recording a graph");
  const std::unique_ptr<CUgraph_st, cudaError_t (*)(cudaGraph_t)> owned(recorded, cudaGraphDestroy);
  size_t nodes = 0;
  check(cudaGraphGetNodes(recorded, nullptr, &nodes), "recording a graph");
  return nodes > 0 ? std::make_unique<CudaGraph>(recorded) : nullptr;
}

std::unique_ptr<Graph> CudaQueue::record(const std::function<void()>& work) {
  begin_recording();
  try {
    work();
  } catch (...) {
    cudaGraph_t recorded = nullptr;
    cudaStreamEndCapture(stream_, &recorded);
    cudaGraphDestroy(recorded);
    throw;
  }
  return end_recording();
}

std::unique_ptr<Graph> CudaQueue::cut_recording() {
  std::unique_ptr<Graph> so_far = end_recording();
  begin_recording();
  return so_far;
}

void CudaQueue::launch(const Graph& graph) {
  check(cudaGraphLaunch(static_cast<const CudaGraph&>(graph).executable(), stream_),
        "launching a graph");
}

CudaDevice::CudaDevice(Precision precision, const std::optional<ProductChoice>& choice)
    : precision_(precision), choice_(choice.value_or(ProductChoice())) {
  std::string why_not = "no library was asked for";
  if (choice) library_ = make_library_products(choice_.library_bytes, why_not);
  products_ = choice_text(choice_, precision, library_ ? library_->name() : "", why_not);
}

std::string CudaDevice::describe() const {
  return format("cuda (compute capability %d.%d, products in %s)",
                attribute(cudaDevAttrComputeCapabilityMajor),
                attribute(cudaDevAttrComputeCapabilityMinor),
                precision_ == Precision::bf16 ? "bf16" : "fp32");
}

std::unique_ptr<DeviceWithoutMemory> CudaDevice::without_memory() const {
  return make_cuda_without_memory(precision_, library_ ? std::optional(choice_) : std::nullopt);
}

std::unique_ptr<Queue> CudaDevice::make_queue() {
  return std::make_unique<CudaQueue>(precision_, library_.get(), choice_);
}

void* CudaDevice::allocate(int64_t bytes) {
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, static_cast<size_t>(bytes > 0 ? bytes : 1));
  if (error == cudaErrorMemoryAllocation) throw out_of_memory(bytes);
  check(error, "allocating memory");
  clearing_.clear(memory, bytes);
  clearing_.wait();
  return memory;
}

void* CudaDevice::allocate_host(int64_t bytes) {
  void* memory = nullptr;
  check(cudaHostAlloc(&memory, static_cast<size_t>(bytes > 0 ? bytes : 1), cudaHostAllocDefault),
        "allocating page-locked memory of the host");
  return memory;
}

std::unique_ptr<CudaDevice> make_cuda_device(Precision precision, int gpu,
                                             const std::optional<ProductChoice>& choice) {
  check(cudaSetDevice(gpu), "taking a GPU");
  show_ranges();
  return std::make_unique<CudaDevice>(precision, choice);
}

}  // namespace alm::cuda
