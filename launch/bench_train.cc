// alm bench train: training steps on journeys kept in memory, beside what the processor could do.
#include <algorithm>
#include <functional>

#include "engine/report/roofline.h"
#include "engine/train/bench_step.h"
#include "kernels/base/text.h"
#include "launch/bench.h"
#include "launch/log_flags.h"

namespace alm {
namespace {

// Multiply-adds that a thread did in products, as a share of what one product alone reaches.
double utilisation(const StepBench& bench, int64_t batch) {
  const double flops = bench.flops_per_sample * static_cast<double>(batch);
  return flops / bench.processor_seconds / bench.limits.flops_per_second;
}

void add_profile(const StepBench& bench, int64_t steps, BenchResults& results) {
  std::vector<OpCost> costs = bench.costs;
  std::sort(costs.begin(), costs.end(),
            [](const OpCost& a, const OpCost& b) { return a.seconds > b.seconds; });
  double rest = bench.total_processor_seconds;
  for (const OpCost& cost : costs) {
    rest -= cost.seconds;
    const double flops = cost.flops / cost.seconds;
    const double bytes = cost.bytes / cost.seconds;
    results.add(format("  %-22s %5.1f %%  %7.1f calls a step  %6.1f GFLOP/s (%3.0f %%)  %6.1f GB/s "
                       "(%3.0f %%)",
                       cost.name.c_str(), 100 * cost.seconds / bench.total_processor_seconds,
                       static_cast<double>(cost.calls) / static_cast<double>(steps), 1e-9 * flops,
                       100 * flops / bench.limits.flops_per_second, 1e-9 * bytes,
                       100 * bytes / bench.limits.bytes_per_second),
                {{"operation", cost.name},
                 {"share", cost.seconds / bench.total_processor_seconds},
                 {"calls", cost.calls},
                 {"gflop_per_s", 1e-9 * flops},
                 {"gb_per_s", 1e-9 * bytes}});
  }
  results.add(format("  %-22s %5.1f %%  ids and columns of the inputs, copies, sums of rows",
                     "outside operations", 100 * rest / bench.total_processor_seconds),
              {{"operation", "outside"}, {"share", rest / bench.total_processor_seconds}});
}

std::string roofline_page(const StepBench& bench, const std::string& title,
                          const std::string& machine, int64_t steps) {
  Roofline roofline{title,
                    machine,
                    bench.total_processor_seconds,
                    bench.limits.flops_per_second,
                    bench.limits.bytes_per_second,
                    {}};
  for (const OpCost& cost : bench.costs) {
    const double calls = static_cast<double>(cost.calls) / static_cast<double>(steps);
    roofline.ops.push_back({cost.name, calls, cost.seconds, cost.flops, cost.bytes});
  }
  std::ranges::sort(roofline.ops, std::greater{}, &RooflineOp::seconds);
  return make_roofline_report(roofline);
}

}  // namespace

void bench_train(const Options& options, Communicator& world, BenchResults& results) {
  const std::unique_ptr<Compute> compute =
      make_compute(options, world, chosen_precision(options, Precision::fp32));
  const int64_t batch = options.integer("batch");
  const std::string& report = options.text("report");
  const bool profiled = options.flag("profile") || !report.empty();
  const StepBench bench = bench_steps({.model = model_options_by_name(options.text("model")),
                                       .shape = shape_by_name(options.text("shape")),
                                       .batch = batch,
                                       .steps = options.integer("steps"),
                                       .deterministic = options.flag("deterministic"),
                                       .profile = profiled,
                                       .compute = *compute,
                                       .world = world});
  const double phases = bench.phases.total();
  const auto share = [&](Phase phase) { return bench.phases.seconds(phase) / phases; };
  const double rate = static_cast<double>(batch) / bench.median_seconds;
  const double gflop = 1e-9 * bench.flops_per_sample;
  const double used = utilisation(bench, batch);
  results.add(
      format("train %s, batch %lld, %lld ranks x %lld threads%s: %s samples/s, step %.1f ms median "
             "(%.1f best, %.1f of processor time), compute %.1f %% reduce %.1f %% update %.1f %%; "
             "%.2f MFLOP/sample, %.1f GFLOP/s; by processor time %.0f %% of the %.0f GFLOP/s that "
             "one product reaches (memory %.0f GB/s); a batch made ready for a GPU in %.2f ms",
             options.text("model").c_str(), static_cast<long long>(batch),
             static_cast<long long>(world.size()), static_cast<long long>(compute->threads()),
             options.flag("deterministic") ? ", deterministic" : "", human_count(rate).c_str(),
             1e3 * bench.median_seconds, 1e3 * bench.best_seconds, 1e3 * bench.processor_seconds,
             100 * share(Phase::compute), 100 * share(Phase::reduce), 100 * share(Phase::update),
             1e3 * gflop, gflop * rate, 100 * used, 1e-9 * bench.limits.flops_per_second,
             1e-9 * bench.limits.bytes_per_second, 1e3 * bench.packing_seconds),
      {{"model", options.text("model")},
       {"shape", options.text("shape")},
       {"batch", batch},
       {"steps", options.integer("steps")},
       {"deterministic", options.flag("deterministic")},
       {"ranks", world.size()},
       {"threads", compute->threads()},
       {"device", compute->device().describe()},
       {"samples_per_s", rate},
       {"step_ms_median", 1e3 * bench.median_seconds},
       {"step_ms_best", 1e3 * bench.best_seconds},
       {"step_processor_ms_median", 1e3 * bench.processor_seconds},
       {"phase_shares",
        {{"compute", share(Phase::compute)},
         {"reduce", share(Phase::reduce)},
         {"update", share(Phase::update)}}},
       {"comm_share", share(Phase::ranks)},
       {"mflop_per_sample", 1e3 * gflop},
       {"gflop_per_s", gflop * rate},
       {"product_limit_gflop_per_s", 1e-9 * bench.limits.flops_per_second},
       {"memory_limit_gb_per_s", 1e-9 * bench.limits.bytes_per_second},
       {"product_utilisation", used},
       {"packing_ms", 1e3 * bench.packing_seconds},
       {"dense_parameters", bench.dense_parameters}});
  if (!profiled) return;
  add_profile(bench, options.integer("steps"), results);
  if (report.empty() || world.rank() != 0) return;
  io::write_text_atomically(
      report, roofline_page(
                  bench,
                  format("Training steps of %s, batch %lld", options.text("model").c_str(),
                         static_cast<long long>(batch)),
                  format("%s; ranks %lld, threads of each %lld; %lld steps, of rank 0",
                         compute->device().describe().c_str(), static_cast<long long>(world.size()),
                         static_cast<long long>(compute->threads()),
                         static_cast<long long>(options.integer("steps"))),
                  options.integer("steps")));
}

}  // namespace alm
