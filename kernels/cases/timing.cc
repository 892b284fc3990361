// How long a case takes.
#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>

#include "kernels/base/clock.h"
#include "kernels/op_cases.h"

namespace alm {

double thread_cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

OpTiming time_op(const OpCase& op_case, Device& device, bool cold, double budget) {
  OpArguments arguments(op_case, device.activations());
  const std::unique_ptr<Queue> queue = device.make_queue();
  if (!op_case.forward.empty()) bind_op(op_case.forward, device.ops(), *queue, arguments)();
  const std::function<void()> run = bind_op(op_case.op, device.ops(), *queue, arguments);
  run();
  queue->wait();

  OpTiming timing;
  std::vector<double> seconds, processor;
  std::vector<unsigned char> sweep(cold ? size_t{64} << 20 : 0);
  const Timer all;
  // Warm calls are timed in groups long enough for the clock.
  int64_t group = 1;
  while (all.seconds() < budget || seconds.size() < 5) {
    if (cold) std::fill(sweep.begin(), sweep.end(), static_cast<unsigned char>(seconds.size()));
    const Timer timer;
    const double processor_before = thread_cpu_seconds();
    for (int64_t call_number = 0; call_number < group; ++call_number) run();
    queue->wait();
    const double of_processor = thread_cpu_seconds() - processor_before;
    const double elapsed = timer.seconds();
    if (!cold && elapsed < 20e-6) {
      group *= 2;
      continue;
    }
    timing.calls += group;
    seconds.push_back(elapsed / static_cast<double>(group));
    processor.push_back(of_processor / static_cast<double>(group));
  }
  const auto typical = [&](std::vector<double>& values) {
    std::sort(values.begin(), values.end());
    return cold ? values[values.size() / 2] : values.front();
  };
  timing.seconds = typical(seconds);
  timing.processor_seconds = typical(processor);
  timing.gflops = op_case.flops / timing.processor_seconds * 1e-9;
  timing.gigabytes = op_case.bytes / timing.processor_seconds * 1e-9;
  return timing;
}

double time_queued_op(const OpCase& op_case, Device& device, double budget) {
  constexpr double kLongEnough = 1e-3;  // for what the wait at the end costs to be little
  const std::unique_ptr<Queue> queue = device.make_queue();
  OpArguments arguments(op_case, device.activations());
  arguments.move_to(device, *queue);
  if (!op_case.forward.empty()) bind_op(op_case.forward, device.ops(), *queue, arguments)();
  const std::function<void()> run = bind_op(op_case.op, device.ops(), *queue, arguments);
  run();
  queue->wait();
  double best = std::numeric_limits<double>::infinity();
  const Timer all;
  for (int64_t group = 1; all.seconds() < budget || std::isinf(best);) {
    const Timer timer;
    for (int64_t call_number = 0; call_number < group; ++call_number) run();
    queue->wait();
    const double elapsed = timer.seconds();
    if (elapsed < kLongEnough) {
      group *= 2;
    } else {
      best = std::min(best, elapsed / static_cast<double>(group));
    }
  }
  return best;
}

}  // namespace alm
