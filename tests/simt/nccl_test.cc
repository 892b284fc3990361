// Reductions over memory of devices, on the doubles of CUDA and NCCL: their values, with odd sizes;
// and what a rank says when another is missing, late, fails or asks for something else. A plain
// program, run under mpirun: all ranks must walk the same path, and MPI starts once a process.
//
// usage: tests_simt_nccl [FAULT]    a fault of kFaults, of 3 ranks
#include <algorithm>
#include <cstdio>
#include <string>
#include <type_traits>
#include <vector>

#include "engine/comm/device_communicator.h"
#include "engine/comm/versions.h"
#include "kernels/base/clock.h"
#include "kernels/cuda/queue.h"
#include "tests/simt/nccl_double.h"
#include "tests/simt/rank_check.h"

namespace alm {
namespace {

static_assert(std::is_constructible_v<DeviceSpan<float>, DeviceArray<float>>);
static_assert(!std::is_constructible_v<DeviceSpan<float>, HostArray<float>>);
static_assert(!std::is_constructible_v<DeviceSpan<float>, std::vector<float>>);
static_assert(!std::is_constructible_v<DeviceSpan<float>, std::span<float>>);
static_assert(!std::is_constructible_v<std::span<float>, DeviceSpan<float>>);

constexpr Patience kPatience{.start = 3, .reduction = 3};  // on a busy machine

struct Case {
  Communicator& world;
  Device& device;
  Queue& queue;
  Event& event;

  void wait(DeviceCommunicator& gpus, const char* what) const {
    queue.mark(event);
    gpus.wait(event, what);
  }
};

// A number that depends on everything; small enough to add as float without rounding.
template <class T>
T value_of(int64_t rank, int64_t index) {
  return static_cast<T>((rank * 31 + index * 7) % 101 - 50);
}

template <class T, class Combine>
void check_reduction(const Case& of, DeviceCommunicator& gpus, int64_t size, bool sum,
                     Combine combine) {
  constexpr int64_t kMargin = 3;  // numbers before and after, which stay
  const DeviceArray<T> values(of.device, size + 2 * kMargin);
  const HostArray<T> host(of.device, values.size());
  for (int64_t i = 0; i < host.size(); ++i) host.data()[i] = value_of<T>(of.world.rank(), i);
  of.queue.upload(values.data(), host.data(), host.bytes());
  const DeviceSpan<T> part = DeviceSpan<T>(values).part(kMargin, size);
  if constexpr (std::is_same_v<T, float>) {
    sum ? gpus.all_reduce_sum(of.queue, part, "numbers")
        : gpus.all_reduce_max(of.queue, part, "numbers");
  } else {
    gpus.all_reduce_sum(of.queue, part, "numbers");
  }
  of.queue.download(host.data(), values.data(), host.bytes());
  of.wait(gpus, "numbers");
  bool right = true;
  for (int64_t i = 0; i < host.size(); ++i) {
    const bool inside = i >= kMargin && i < kMargin + size;
    T wanted = value_of<T>(inside ? 0 : of.world.rank(), i);
    for (int64_t rank = 1; inside && rank < of.world.size(); ++rank) {
      wanted = combine(wanted, value_of<T>(rank, i));
    }
    right = right && host.data()[i] == wanted;
  }
  expect(right, of.world, "a reduction of " + std::to_string(size) + " numbers is wrong");
}

void check_reductions(const Case& of, DeviceCommunicator& gpus) {
  const auto add = [](auto a, auto b) { return a + b; };
  const auto most = [](auto a, auto b) { return a > b ? a : b; };
  for (const int64_t size : {0, 1, 2, 7, 64, 1009}) {
    check_reduction<float>(of, gpus, size, true, add);
    check_reduction<double>(of, gpus, size, true, add);
    check_reduction<int64_t>(of, gpus, size, true, add);
    check_reduction<float>(of, gpus, size, false, most);
  }
}

// Of several kinds and sizes in one call, one of them empty.
void check_together(const Case& of, DeviceCommunicator& gpus) {
  const DeviceArray<float> floats(of.device, 7), none(of.device, 0);
  const DeviceArray<double> doubles(of.device, 1009);
  const DeviceArray<int64_t> integers(of.device, 1);
  const auto with_each = [&](const auto& with) { with(floats), with(doubles), with(integers); };
  const auto sum_of_ranks = [&](int64_t i) {
    int64_t sum = 0;
    for (int64_t rank = 0; rank < of.world.size(); ++rank) sum += value_of<int64_t>(rank, i);
    return sum;
  };
  with_each([&]<class T>(const DeviceArray<T>& values) {
    const HostArray<T> host(of.device, values.size());
    for (int64_t i = 0; i < host.size(); ++i) host.data()[i] = value_of<T>(of.world.rank(), i);
    of.queue.upload(values.data(), host.data(), host.bytes());
    of.wait(gpus, "upload");
  });
  const DeviceNumbers together[] = {floats, none, doubles, integers};
  gpus.all_reduce_sum(of.queue, together, "several");
  with_each([&]<class T>(const DeviceArray<T>& values) {
    const HostArray<T> host(of.device, values.size());
    of.queue.download(host.data(), values.data(), host.bytes());
    of.wait(gpus, "several");
    bool right = true;
    for (int64_t i = 0; i < host.size(); ++i) {
      right = right && host.data()[i] == static_cast<T>(sum_of_ranks(i));
    }
    expect(right, of.world, std::to_string(values.size()) + " of several sums are wrong");
  });
}

void sum_once(const Case& of, DeviceCommunicator& gpus, int64_t count) {
  const DeviceArray<float> values(of.device, count);
  gpus.all_reduce_sum(of.queue, values, "dense gradient");
  of.wait(gpus, "dense gradient");
}

// The last rank does something wrong: what the others say, and it.
struct Fault {
  std::string name;
  simt::NcclFault of_last;
  std::string of_others_words;
  std::string of_last_words;
};
const std::vector<Fault> kFaults = {
    {"late_start", {simt::NcclFault::late, 0}, "", ""},
    {"absent_start",
     {simt::NcclFault::absent, 0},
     "NCCL, start: not all GPUs found each other within 3 s (NCCL_DEBUG=INFO says more",
     "NCCL, start: not all GPUs found each other within 3 s"},
    {"failed_start",
     {simt::NcclFault::error, 0},
     "rank 2 of 3: NCCL, start: error of the double",
     "rank 2 of 3: NCCL, start: error of the double"},
    {"missing_at_start", {}, "NCCL, start: rank 2 of 3 did not come within 3 s: see", ""},
    {"late", {simt::NcclFault::late, 2}, "", ""},
    {"absent",
     {simt::NcclFault::absent, 2},
     "NCCL, dense gradient: not done after 3 s, though all ranks wait for it; a rank or the",
     "NCCL, dense gradient: not done after 3 s"},
    {"error",
     {simt::NcclFault::error, 2},
     "NCCL, dense gradient: not done after 3 s, rank 2 did not come to it",
     "NCCL, dense gradient: remote process exited"},
    {"dropped",
     {simt::NcclFault::dropped, 2},
     "NCCL, dense gradient: not done after 3 s, rank 2 did not come to it",
     "NCCL, dense gradient: remote process exited"},
    {"other_size",
     {},
     "NCCL, dense gradient: invalid usage",
     "NCCL, dense gradient: invalid usage"},
    {"missing", {}, "NCCL, dense gradient: not done after 3 s, rank 2 did not come to it", ""},
};

void walk(const Case& of, const Fault& fault) {
  const bool last = of.world.rank() == of.world.size() - 1;
  if (last) simt::nccl_fault() = fault.of_last;
  if (last && fault.name == "missing_at_start") return;
  const auto gpus = make_gpu_communicator(of.world, kPatience);
  sum_once(of, *gpus, 5);
  if (last && fault.name == "missing") return;
  sum_once(of, *gpus, last && fault.name == "other_size" ? 6 : 5);
  of.world.barrier("sums");
}

void check_fault(const Case& of, const std::string& name) {
  constexpr double kMost = 15;
  const auto fault = std::ranges::find(kFaults, name, &Fault::name);
  const Timer timer;
  std::string said;
  try {
    walk(of, *fault);
  } catch (const MachineError& error) {
    said = error.what();
  }
  const bool last = of.world.rank() == of.world.size() - 1;
  const std::string& wanted = last ? fault->of_last_words : fault->of_others_words;
  expect(said.find(wanted) == 0 && said.empty() == wanted.empty(), of.world, "said: " + said);
  expect(timer.seconds() < kMost, of.world, "waited " + std::to_string(timer.seconds()) + " s");
}

void run(Communicator& world, const std::string& fault) {
  const auto device = cuda::make_cuda_device();
  const auto queue = device->make_queue();
  const auto event = device->make_event();
  const Case of{world, *device, *queue, *event};
  if (!fault.empty()) return check_fault(of, fault);
  const auto gpus = make_gpu_communicator(world);
  expect(gpus->name() == (world.size() == 1 ? "self" : "nccl 2.99.1"), world, gpus->name());
  const std::string versions = nccl_versions();
  expect(versions.starts_with("built with 2.") && versions.ends_with(", found 2.99.1"), world,
         versions);
  check_reductions(of, *gpus);
  check_together(of, *gpus);
  world.barrier("reductions");
}

}  // namespace
}  // namespace alm

int main(int argc, char** argv) {
  const auto world = alm::make_world_communicator(&argc, &argv);
  try {
    alm::run(*world, argc > 1 ? argv[1] : "");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %lld: %s\n", static_cast<long long>(world->rank()), error.what());
    world->abort(1);
  }
  const int64_t failures = alm::all_failures(*world);
  if (world->rank() == 0) std::printf("%lld failures\n", static_cast<long long>(failures));
  return failures == 0 ? 0 : 1;
}
