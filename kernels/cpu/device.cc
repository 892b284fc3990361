#include "kernels/device.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "kernels/base/clock.h"
#include "kernels/base/text.h"
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/gemm.h"
#include "kernels/device_without_memory.h"

#if defined(__x86_64__)
#define ALM_X86 1
#else
#define ALM_X86 0
#endif

namespace alm {

namespace scalar {
extern const Ops kOps;
}
#if ALM_X86
namespace avx2 {
extern const Ops kOps;
}
namespace avx512 {
extern const Ops kOps;
}
#endif

namespace {

constexpr std::align_val_t kAlignment{64};

void* aligned_memory(int64_t bytes) {
  ALM_CHECK(bytes >= 0, "negative size");
  const size_t size = static_cast<size_t>(bytes);
  void* const memory = ::operator new(size, kAlignment, std::nothrow);
  if (memory == nullptr) {
    throw MachineError("out of memory: " + human_bytes(static_cast<double>(size)) +
                       " wanted (use a smaller batch or fewer ranks on this machine)");
  }
  return memory;
}

void release_memory(void* memory) {
  ::operator delete(memory, kAlignment);
}

// Work is done when its call returns: every place is reached, and nothing can be put off.
class CpuEvent : public Event {
 public:
  void wait() override {}
  bool reached() override { return true; }
  double seconds_since(const Event& earlier) const override {
    return at - static_cast<const CpuEvent&>(earlier).at;
  }
  double at = 0;  // now_seconds() at the last mark
};

class CpuQueue : public Queue {
 public:
  CpuQueue() = default;
  ~CpuQueue() override { release_memory(memory_); }
  CpuQueue(const CpuQueue&) = delete;
  CpuQueue& operator=(const CpuQueue&) = delete;

  void* scratch(int64_t bytes) override {
    if (bytes > size_) {
      const int64_t size = scratch_room(bytes);
      void* larger = aligned_memory(size);
      release_memory(memory_);
      memory_ = larger;
      size_ = size;
    }
    return memory_;
  }
  int64_t scratch_bytes() const override { return size_; }
  void upload(void* to, const void* from, int64_t bytes) override { copy_bytes(to, from, bytes); }
  void download(void* to, const void* from, int64_t bytes) override { copy_bytes(to, from, bytes); }
  void copy(MixedMatrix<const float> from, MixedMatrix<float> to) override {
    ALM_CHECK(from.rows == to.rows && from.cols == to.cols && in_fp32(from, to));
    for (int64_t row = 0; row < from.rows; ++row) {
      std::copy(from.row(row), from.row(row) + from.cols, to.row(row));
    }
  }
  void clear(void* memory, int64_t bytes) override {
    if (bytes > 0) std::memset(memory, 0, static_cast<size_t>(bytes));
  }
  void wait() override {}
  void mark(Event& event) override { static_cast<CpuEvent&>(event).at = now_seconds(); }
  void wait_for(const Event&) override {}
  std::unique_ptr<Graph> record(const std::function<void()>&) override { return nullptr; }
  std::unique_ptr<Graph> cut_recording() override { return nullptr; }
  void launch(const Graph&) override { ALM_CHECK(false, "a CPU has no graphs"); }

 private:
  static void copy_bytes(void* to, const void* from, int64_t bytes) {
    if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
  }

  void* memory_ = nullptr;
  int64_t size_ = 0;
};

class CpuDevice : public Device {
 public:
  explicit CpuDevice(const Ops& ops) : ops_(ops) {}
  std::string describe() const override { return std::string("cpu (") + ops_.name + ")"; }
  const Ops& ops() const override { return ops_; }
  Precision activations() const override { return Precision::fp32; }
  std::unique_ptr<Queue> make_queue() override { return std::make_unique<CpuQueue>(); }
  std::unique_ptr<Event> make_event() override { return std::make_unique<CpuEvent>(); }
  std::unique_ptr<Event> make_event_with_time() override { return make_event(); }
  std::unique_ptr<DeviceWithoutMemory> without_memory() const override {
    return std::make_unique<DeviceWithoutMemory>(kIdleOps, activations(),
                                                 DeviceWithoutMemory::Host::may_look);
  }
  void* allocate(int64_t bytes) override {
    void* memory = aligned_memory(bytes);
    std::memset(memory, 0, static_cast<size_t>(bytes));
    return memory;
  }
  void release(void* memory) override { release_memory(memory); }
  void* allocate_host(int64_t bytes) override { return allocate(bytes); }
  void release_host(void* memory) override { release(memory); }

 private:
  const Ops& ops_;
};

struct Level {
  const char* name;
  const Ops& ops;
};

#if ALM_X86
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

// The kernel gives a process the tiles' registers when asked.
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
         ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif

// Lowest first.
std::vector<Level> levels() {
  std::vector<Level> found = {{"scalar", scalar::kOps}};
#if ALM_X86
  if (has_avx2()) found.push_back({"avx2", avx2::kOps});
  if (has_avx512()) found.push_back({"avx512", avx512::kOps});
#endif
  return found;
}

}  // namespace

std::vector<const Ops*> cpu_ops_in_bf16() {
  std::vector<const Ops*> found;
#if ALM_X86
  if (has_avx512() && __builtin_cpu_supports("avx512bf16")) {
    if (may_use_tiles()) found.push_back(&avx512::ops_by_tiles());
    found.push_back(&avx512::ops_by_dots());
  }
#endif
  return found;
}

std::vector<std::string> cpu_simd_levels() {
  std::vector<std::string> names;
  for (const Level& level : levels()) names.push_back(level.name);
  return names;
}

std::unique_ptr<Device> make_cpu_device(const std::string& simd, Precision precision) {
  const std::vector<Level> all = levels();
  for (auto level = all.rbegin(); level != all.rend(); ++level) {
    if (simd != "auto" && simd != level->name) continue;
    limit_gemm_to_level(level->name);
    if (precision == Precision::fp32) return std::make_unique<CpuDevice>(level->ops);
    const std::vector<const Ops*> in_bf16 = cpu_ops_in_bf16();
    if (in_bf16.empty() || level->name != std::string("avx512")) {
      throw UserError(
          "--precision bf16: this processor, or the level of --simd, has no products in bf16 "
          "(avx512_bf16 in lscpu): use --precision fp32");
    }
    return std::make_unique<CpuDevice>(*in_bf16.front());
  }
  throw UserError("--simd " + simd + ": this processor has auto, " + join(cpu_simd_levels(), ", "));
}

}  // namespace alm
