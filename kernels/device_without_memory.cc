#include "kernels/device_without_memory.h"

#include <sys/mman.h>

#include "kernels/base/text.h"

namespace alm {
namespace {

template <class Arguments>
void idle(Queue&, const Arguments&) {}

class ReachedEvent : public Event {
 public:
  void wait() override {}
  bool reached() override { return true; }
  double seconds_since(const Event&) const override { return 0; }
};

}  // namespace

const Ops kIdleOps = {
    .name = "idle",
    .dense_features = idle,
    .gather_rows = idle,
    .scatter_rows = idle,
    .linear_forward = idle,
    .linear_backward = idle,
    .join_context_forward = idle,
    .join_context_backward = idle,
    .attention_forward = idle,
    .attention_backward = idle,
    .pool_forward = idle,
    .pool_backward = idle,
    .weighted_sum_forward = idle,
    .weighted_sum_backward = idle,
    .bilinear_forward = idle,
    .bilinear_backward = idle,
    .touch_head_forward = idle,
    .touch_head_backward = idle,
    .separable_loss = idle,
    .additive_loss = idle,
    .bce_loss = idle,
    .squared_loss = idle,
    .sigmoid_squared_loss = idle,
    .softmax_loss = idle,
    .infonce = idle,
    .gradient_scale = idle,
    .adamw = idle,
    .adagrad_rows = idle,
    .max_abs = idle,
    .quantise = idle,
    .dequantise = idle,
    .sigmoid = idle,
    .expected_mediator_forward = idle,
    .expected_mediator_backward = idle,
    .accumulate = idle,
    .sum_squares = idle,
};

DeviceWithoutMemory::~DeviceWithoutMemory() {
  for (const auto& [space, bytes] : spaces_) ::munmap(space, bytes);
}

std::unique_ptr<Queue> DeviceWithoutMemory::make_queue() {
  return std::make_unique<IdleQueue<Queue>>(*this);
}

std::unique_ptr<Event> DeviceWithoutMemory::make_event() {
  return std::make_unique<ReachedEvent>();
}

std::unique_ptr<DeviceWithoutMemory> DeviceWithoutMemory::without_memory() const {
  return std::make_unique<DeviceWithoutMemory>(ops_, activations_, host_);
}

void* DeviceWithoutMemory::allocate(int64_t bytes) {
  const size_t size = static_cast<size_t>(std::max<int64_t>(bytes, 1));
  if (host_ == Host::may_not_look) {
    constexpr uintptr_t kAlignment = 256;
    const uintptr_t address = next_;
    next_ += (size + kAlignment - 1) / kAlignment * kAlignment;
    return reinterpret_cast<void*>(address);
  }
  void* const space = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (space == MAP_FAILED) {
    throw MachineError("no address space for " + human_bytes(static_cast<double>(size)) +
                       ": it is limited here (ulimit -v unlimited)");
  }
  spaces_[space] = size;
  return space;
}

void DeviceWithoutMemory::release(void* memory) {
  const auto found = spaces_.find(memory);
  if (found == spaces_.end()) return;  // made up
  ::munmap(found->first, found->second);
  spaces_.erase(found);
}

}  // namespace alm
