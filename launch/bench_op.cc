// alm bench op: single operations beside what one thread reaches at most.
#include "engine/train/op_profile.h"
#include "kernels/base/text.h"
#include "kernels/gpu.h"
#include "kernels/op_cases.h"
#include "launch/bench.h"
#include "launch/log_flags.h"

namespace alm {
namespace {

// A run in the shape of google-benchmark: what its compare.py reads, and counters of ours.
io::Json as_run(const std::string& name, const OpTiming& timing, const ThreadLimits& limits) {
  return {{"name", name},
          {"run_name", name},
          {"run_type", "iteration"},
          {"repetitions", 1},
          {"repetition_index", 0},
          {"threads", 1},
          {"iterations", timing.calls},
          {"real_time", 1e6 * timing.seconds},
          {"cpu_time", 1e6 * timing.processor_seconds},
          {"time_unit", "us"},
          {"gflop_per_s", timing.gflops},
          {"gb_per_s", timing.gigabytes},
          {"share_of_product_limit", 1e9 * timing.gflops / limits.flops_per_second},
          {"share_of_memory_limit", 1e9 * timing.gigabytes / limits.bytes_per_second}};
}

std::vector<OpCase> wanted_cases(const Options& options) {
  std::vector<OpCase> cases = performance_cases();
  std::erase_if(cases, [&](const OpCase& of) {
    return of.name.find(options.text("case")) == std::string::npos;
  });
  if (cases.empty()) {
    throw UserError(format("no case's name contains \"%s\"; without --case all are listed",
                           options.text("case").c_str()));
  }
  return cases;
}

void bench_op_on_gpu(const Options& options, BenchResults& results) {
  std::string who;
  const std::unique_ptr<Device> device =
      make_gpu_device(0, chosen_precision(options, Precision::bf16), Products::fastest, &who);
  results.add(device->describe() + ": many calls queued together, by the clock of the host",
              nullptr);
  results.add(who, nullptr);
  io::Json runs = io::Json::array();
  for (const OpCase& op_case : wanted_cases(options)) {
    const double seconds = time_queued_op(op_case, *device);
    const double gflops = 1e-9 * op_case.flops / seconds;
    const double gigabytes = 1e-9 * op_case.bytes / seconds;
    results.add(format("%-49s %9.2f us %9.1f GFLOP/s %9.1f GB/s", op_case.name.c_str(),
                       1e6 * seconds, gflops, gigabytes),
                nullptr);
    runs.push_back({{"name", op_case.name},
                    {"run_name", op_case.name},
                    {"run_type", "iteration"},
                    {"real_time", 1e6 * seconds},
                    {"time_unit", "us"},
                    {"gflop_per_s", gflops},
                    {"gb_per_s", gigabytes}});
  }
  results.replace({{"context", {{"executable", "alm bench op"}, {"device", device->describe()}}},
                   {"benchmarks", runs}});
}

}  // namespace

void bench_op(const Options& options, Communicator& world, BenchResults& results) {
  if (options.text("device") == "cuda") return bench_op_on_gpu(options, results);
  const std::vector<OpCase> cases = wanted_cases(options);
  const std::unique_ptr<Compute> compute =
      make_compute(options, world, chosen_precision(options, Precision::fp32));
  const ThreadLimits limits = measure_limits(compute->device());
  results.add(format("one thread: %.0f GFLOP/s of products, %.1f GB/s of memory; by processor time",
                     1e-9 * limits.flops_per_second, 1e-9 * limits.bytes_per_second),
              nullptr);
  io::Json runs = io::Json::array();
  for (const OpCase& op_case : cases) {
    for (const bool cold : {false, true}) {
      const OpTiming timing = time_op(op_case, compute->device(), cold);
      const std::string name = op_case.name + (cold ? "/cold" : "/warm");
      results.add(format("%-49s %9.2f us %7.1f GFLOP/s (%3.0f %%) %7.1f GB/s (%3.0f %%)",
                         name.c_str(), 1e6 * timing.processor_seconds, timing.gflops,
                         100e9 * timing.gflops / limits.flops_per_second, timing.gigabytes,
                         100e9 * timing.gigabytes / limits.bytes_per_second),
                  nullptr);
      runs.push_back(as_run(name, timing, limits));
    }
  }
  results.replace({{"context",
                    {{"executable", "alm bench op"},
                     {"num_cpus", 1},
                     {"device", compute->device().describe()},
                     {"product_limit_gflop_per_s", 1e-9 * limits.flops_per_second},
                     {"memory_limit_gb_per_s", 1e-9 * limits.bytes_per_second}}},
                   {"benchmarks", runs}});
}

}  // namespace alm
