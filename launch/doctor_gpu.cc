#include <algorithm>

#include "engine/comm/device_communicator.h"
#include "kernels/base/clock.h"
#include "kernels/base/text.h"
#include "launch/device_choice.h"
#include "launch/doctor_checks.h"

namespace alm {
namespace {

// COLLECTIVE. Every rank has a GPU of its own.
Finding check_gpu_sums(double deadline, Communicator& world) {
  constexpr int64_t kNumbers = int64_t{1} << 22;
  constexpr int kTimes = 5;
  const std::unique_ptr<Device> device =
      make_gpu_device(world.local_rank(), Precision::fp32, Products::own);
  const std::unique_ptr<DeviceCommunicator> gpus =
      make_gpu_communicator(world, {.start = deadline / 4, .reduction = deadline / 4});
  const std::unique_ptr<Queue> queue = device->make_queue();
  const std::unique_ptr<Event> event = device->make_event();
  const DeviceArray<float> numbers(*device, kNumbers);
  const HostArray<float> host(*device, kNumbers);
  float best = 1e30f;
  int64_t wrong = 0;
  for (int time = 0; time < kTimes; ++time) {
    std::ranges::fill(host.span(), 1.0f);
    queue->upload(numbers.data(), host.data(), host.bytes());
    queue->wait();
    world.barrier("before a sum");
    Timer timer;
    gpus->all_reduce_sum(*queue, numbers, "sum of ones");
    queue->mark(*event);
    gpus->wait(*event, "sum of ones");
    best = std::min(best, static_cast<float>(timer.seconds()));
    queue->download(host.data(), numbers.data(), host.bytes());
    queue->wait();
    wrong += kNumbers - std::ranges::count(host.span(), static_cast<float>(world.size()));
  }
  world.all_reduce_max(std::span(&best, 1), "slowest rank");
  world.all_reduce_sum(std::span(&wrong, 1), "wrong sums");
  if (wrong > 0) {
    return {Health::ill, gpus->name() + ": sums of ones over GPUs came out wrong",
            "the network between GPUs or NCCL damages messages: look at NCCL_DEBUG=INFO"};
  }
  return {Health::well,
          format("every rank has one of its own; %s sums 16 MiB over them in %.3g ms (%.2g GB/s)",
                 gpus->name().c_str(), 1e3 * static_cast<double>(best),
                 static_cast<double>(kNumbers * 4) / static_cast<double>(best) / 1e9)};
}

}  // namespace

std::vector<Finding> check_gpu(const Options& options, Communicator& world) {
  Gpu found = gpu_of_rank(world);
  const std::vector<std::string> obstacles = world.all_gather_strings(found.obstacle, "GPUs");
  const int64_t with = std::ranges::count(obstacles, std::string());
  const bool insists = options.text("device") == "cuda";
  if (insists && with < world.size()) {
    return {{Health::ill,
             format("%lld of %lld ranks have one that can be used", static_cast<long long>(with),
                    static_cast<long long>(world.size())),
             *std::ranges::find_if(obstacles, [](const std::string& of) { return !of.empty(); })}};
  }
  if (with == 0) return {{Health::well, "none is used: " + obstacles.front()}};
  if (world.size() == 1) return {{Health::well, "there is one that can be used"}};
  if (found.obstacle.empty()) found.obstacle = gpu_communicator_obstacle();
  const Gpu of_all = usable_by_all(found, world);
  if (of_all.obstacle.empty()) return {check_gpu_sums(options.real("deadline"), world)};
  return {{insists ? Health::ill : Health::doubtful,
           format("%lld of %lld ranks have one, but ", static_cast<long long>(with),
                  static_cast<long long>(world.size())) +
               of_all.obstacle,
           with < world.size()
               ? "all would train on the CPU; give all ranks the same hosts and visible devices"
               : "all would train on the CPU; mend what is named"}};
}

}  // namespace alm
