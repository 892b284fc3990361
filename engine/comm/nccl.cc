// Reductions over the GPUs of all ranks by NCCL. The only file that includes nccl.h. The library is
// loaded when several ranks want it: the program starts where there is none.
//
// No call blocks (blocking = 0): a rank that waits looks at the clock and at the state of the
// communicator, and ends with words instead of waiting for ever.
#include <nccl.h>

#include <map>
#include <memory>
#include <set>
#include <thread>
#include <type_traits>

#include "engine/comm/device_communicator.h"
#include "engine/comm/versions.h"
#include "kernels/base/clock.h"
#include "kernels/base/dynamic_library.h"
#include "kernels/base/text.h"
#include "kernels/cuda/queue.h"

namespace alm {
namespace {

std::string version_text(int version) {
  return format("%d.%d.%d", version / 10000, version / 100 % 100, version % 100);
}

// Where the library has an obstacle, some of the rest is null.
struct Library {
  DynamicLibrary file{"NCCL", "libnccl.so.2"};
  decltype(&ncclGetVersion) get_version = nullptr;
  decltype(&ncclGetUniqueId) get_unique_id = nullptr;
  decltype(&ncclCommInitRankConfig) start = nullptr;
  decltype(&ncclCommGetAsyncError) get_state = nullptr;
  decltype(&ncclCommAbort) abort = nullptr;
  decltype(&ncclAllReduce) all_reduce = nullptr;
  decltype(&ncclGroupStart) group_start = nullptr;
  decltype(&ncclGroupEnd) group_end = nullptr;
  decltype(&ncclGetErrorString) error_string = nullptr;
  // Of later versions: both of a pair, or neither.
  decltype(&ncclCommRegister) register_memory = nullptr;
  decltype(&ncclCommDeregister) deregister_memory = nullptr;
  decltype(&ncclMemAlloc) allocate = nullptr;
  decltype(&ncclMemFree) release = nullptr;

  Library() {
    file.find("ncclGetVersion", get_version);
    file.find("ncclGetUniqueId", get_unique_id);
    file.find("ncclCommInitRankConfig", start);
    file.find("ncclCommGetAsyncError", get_state);
    file.find("ncclCommAbort", abort);
    file.find("ncclAllReduce", all_reduce);
    file.find("ncclGroupStart", group_start);
    file.find("ncclGroupEnd", group_end);
    file.find("ncclGetErrorString", error_string);
    file.find_if_any("ncclCommDeregister", deregister_memory);
    if (deregister_memory != nullptr) file.find_if_any("ncclCommRegister", register_memory);
    file.find_if_any("ncclMemFree", release);
    if (release != nullptr) file.find_if_any("ncclMemAlloc", allocate);
  }
};

const Library& library() {
  static const Library loaded;
  return loaded;
}

bool fine(ncclResult_t result) {
  return result == ncclSuccess || result == ncclInProgress;
}

void check_nccl(ncclResult_t result, const char* what) {
  if (fine(result)) return;
  throw MachineError(std::string("NCCL, ") + what + ": " + library().error_string(result));
}

// Ends what is under way, so that queues can.
struct Abort {
  void operator()(ncclComm_t communicator) const { library().abort(communicator); }
};

std::string ranks_text(const std::vector<int64_t>& ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (size_t at = 0; at < ranks.size(); ++at) {
    text += (at == 0 ? "" : ", ") + std::to_string(ranks[at]);
  }
  return text;
}

void expect_all(Communicator& world, double seconds) {
  const std::vector<int64_t> missing = world.roll_call(seconds);
  if (missing.empty()) return;
  throw MachineError(
      format("NCCL, start: %s of %lld did not come within %g s: see what keeps them "
             "(a file system, a driver that hangs: nvidia-smi on their hosts)",
             ranks_text(missing).c_str(), static_cast<long long>(world.size()), seconds));
}

// Memory that a communicator knows, so that its sums need not copy through memory of their own: as
// NCCL allocates it where it does (NVLink's switches read no other), registered where it can be.
class RegisteredMemory final : public DeviceMemory {
 public:
  // `communicator`: null once NCCL has ended.
  RegisteredMemory(Device& device, const std::unique_ptr<ncclComm, Abort>& communicator)
      : device_(device), communicator_(communicator) {}

  void* allocate(int64_t bytes) override {
    void* memory = nullptr;
    const bool from_nccl =
        library().allocate != nullptr &&
        library().allocate(&memory, static_cast<size_t>(std::max<int64_t>(bytes, 1))) ==
            ncclSuccess;
    if (from_nccl) {
      const std::unique_ptr<Queue> queue = device_.make_queue();
      queue->clear(memory, bytes);
      queue->wait();
      from_nccl_.insert(memory);
    } else {  // not every host lets it; the device says what it lacks
      memory = device_.allocate(bytes);
    }
    // A sum of what NCCL will not register is as right.
    void* handle = nullptr;
    if (library().register_memory != nullptr && bytes > 0 &&
        library().register_memory(communicator_.get(), memory, static_cast<size_t>(bytes),
                                  &handle) == ncclSuccess &&
        handle != nullptr) {
      handles_[memory] = handle;
    }
    return memory;
  }
  // What these could report is an error of work queued earlier, which wait() has told.
  void release(void* memory) override {
    const auto handle = handles_.extract(memory);
    if (!handle.empty() && communicator_ != nullptr) {
      library().deregister_memory(communicator_.get(), handle.mapped());
    }
    from_nccl_.erase(memory) > 0 ? void(library().release(memory)) : device_.release(memory);
  }

 private:
  Device& device_;
  const std::unique_ptr<ncclComm, Abort>& communicator_;
  std::map<void*, void*> handles_;  // by address
  std::set<void*> from_nccl_;
};

class NcclCommunicator final : public DeviceCommunicator {
 public:
  NcclCommunicator(Communicator& world, Patience patience) : world_(world), patience_(patience) {
    expect_all(world, patience.start);
    world.together("loading NCCL", [] {
      const std::string& obstacle = library().file.obstacle();
      if (!obstacle.empty()) throw MachineError(obstacle);
    });
    ncclUniqueId id{};
    world.together("NCCL's id", [&] {
      if (world.rank() == 0) check_nccl(library().get_unique_id(&id), "start");
    });
    world.broadcast(std::as_writable_bytes(std::span(&id, 1)), 0, "NCCL's id");
    const ncclResult_t mine = start(id);
    expect_all(world, 2 * patience.start);  // others may wait to the end of their patience
    expect_started(mine);
  }

  std::string name() const override {
    int version = 0;
    check_nccl(library().get_version(&version), "version");
    return "nccl " + version_text(version);
  }
  int64_t size() const override { return world_.size(); }
  DeviceMemory& memory(Device& device) override {
    return memory_.try_emplace(&device, device, communicator_).first->second;
  }
  void all_reduce_sum(Queue& queue, std::span<const DeviceNumbers> together,
                      const char* what) override {
    all_reduce(queue, together, ncclSum, what);
  }
  void all_reduce_max(Queue& queue, DeviceSpan<float> values, const char* what) override {
    const DeviceNumbers numbers = values;
    all_reduce(queue, std::span(&numbers, 1), ncclMax, what);
  }
  void wait(Event& event, const char* what) override {
    wait_until([&] { return event.reached(); }, patience_.reduction, what);
  }

 private:
  // Waits for it; in progress: in vain.
  ncclResult_t start(const ncclUniqueId& id) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ncclComm_t started = nullptr;
    ncclResult_t state = library().start(&started, narrow<int>(world_.size()), id,
                                         narrow<int>(world_.rank()), &config);
    communicator_.reset(started);
    const Timer timer;
    while (state == ncclInProgress && timer.seconds() < patience_.start) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      state = this->state();
    }
    return state;
  }

  // COLLECTIVE. MachineError with the first rank that met an error: others then wait for it in
  // vain.
  void expect_started(ncclResult_t mine) {
    constexpr const char* kAdvice =
        " (NCCL_DEBUG=INFO says more, NCCL_SOCKET_IFNAME names the network)";
    const bool failed = !fine(mine);
    world_.together("the start of NCCL", [&] {
      if (failed)
        throw MachineError(std::string("NCCL, start: ") + library().error_string(mine) + kAdvice);
    });
    world_.together("the start of NCCL", [&] {
      if (mine == ncclSuccess) return;
      throw MachineError(format("NCCL, start: not all GPUs found each other within %g s%s",
                                patience_.start, kAdvice));
    });
  }

  ncclResult_t state() const {
    ncclResult_t state = ncclSuccess;
    const ncclResult_t asked = library().get_state(communicator_.get(), &state);
    return asked == ncclSuccess ? state : asked;
  }

  void all_reduce(Queue& queue, std::span<const DeviceNumbers> together, ncclRedOp_t how,
                  const char* what) {
    ALM_CHECK(communicator_ != nullptr, "%s: NCCL has ended", what);
    ncclResult_t result = library().group_start();
    if (result != ncclSuccess) fail(what, library().error_string(result));
    for (const DeviceNumbers& numbers : together) {
      if (!fine(result)) break;
      std::visit([&](auto values) { result = all_reduce_one(queue, values, how); }, numbers);
    }
    const ncclResult_t ended = library().group_end();
    if (fine(result)) result = ended;
    if (!fine(result)) fail(what, library().error_string(result));
    // The calls are not on the stream before that.
    wait_until([&] { return state() != ncclInProgress; }, patience_.reduction, what);
  }

  template <class T>
  ncclResult_t all_reduce_one(Queue& queue, DeviceSpan<T> values, ncclRedOp_t how) {
    constexpr ncclDataType_t kType = std::is_same_v<T, float>    ? ncclFloat32
                                     : std::is_same_v<T, double> ? ncclFloat64
                                                                 : ncclInt64;
    if (values.size() == 0) return ncclSuccess;
    return library().all_reduce(values.data(), values.data(), static_cast<size_t>(values.size()),
                                kType, how, communicator_.get(),
                                static_cast<cuda::CudaQueue&>(queue).stream());
  }

  template <class Done>
  void wait_until(const Done& done, double seconds, const char* what) {
    const Timer timer;
    while (true) {
      // What is done may have been done in vain: the state is looked at after it.
      const bool over = done();
      const ncclResult_t now = communicator_ != nullptr ? state() : ncclSuccess;
      if (!fine(now)) fail(what, library().error_string(now));
      if (over) return;
      if (timer.seconds() > seconds) fail_late(what, seconds);
      std::this_thread::yield();
    }
  }

  [[noreturn]] void fail(const char* what, const std::string& why) {
    communicator_.reset();
    throw MachineError(std::string("NCCL, ") + what + ": " + why +
                       "; a rank or the network between GPUs has failed: see what other ranks say, "
                       "then go on with --resume (NCCL_DEBUG=INFO says more)");
  }
  // Those who wait in vain do so from about the same time on.
  [[noreturn]] void fail_late(const char* what, double seconds) {
    constexpr double kGrace = 5;
    const std::vector<int64_t> missing = world_.roll_call(std::min(kGrace, seconds));
    fail(what, format("not done after %g s, %s", seconds,
                      missing.empty() ? "though all ranks wait for it"
                                      : (ranks_text(missing) + " did not come to it").c_str()));
  }

  Communicator& world_;
  const Patience patience_;
  std::unique_ptr<ncclComm, Abort> communicator_;  // null after a failure
  std::map<Device*, RegisteredMemory> memory_;
};

}  // namespace

std::string gpu_communicator_obstacle() {
  return library().file.obstacle();
}

std::unique_ptr<DeviceCommunicator> make_gpu_communicator(Communicator& world, Patience patience) {
  if (world.size() == 1) return make_self_device_communicator();
  return std::make_unique<NcclCommunicator>(world, patience);
}

std::string nccl_versions() {
  int found = 0;
  if (library().get_version != nullptr) library().get_version(&found);
  return library().file.versions(version_text(NCCL_VERSION_CODE), version_text(found));
}

}  // namespace alm
