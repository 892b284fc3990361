#include "engine/train/bench_step.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/simulate/simulator.h"
#include "engine/train/device_batch.h"
#include "io/raw_reads.h"
#include "io/sample_plan.h"
#include "kernels/base/clock.h"

namespace alm {
namespace {

constexpr int64_t kBatches = 4;
constexpr int64_t kUnmeasured = 2;  // steps that size the memory

ColumnScales scales_of(const std::vector<float>& values, int64_t columns) {
  ColumnScales scales;
  scales.mean.assign(static_cast<size_t>(columns), 0.0f);
  scales.inverse_sd.assign(static_cast<size_t>(columns), 1.0f);
  scales.missing_slot.assign(static_cast<size_t>(columns), -1);
  for (size_t at = 0; at < values.size(); ++at) {
    int64_t& slot = scales.missing_slot[at % static_cast<size_t>(columns)];
    if (std::isnan(values[at]) && slot < 0) slot = scales.slots++;
  }
  return scales;
}

double product_flops(const std::vector<OpCost>& costs) {
  double flops = 0;
  for (const OpCost& cost : costs) flops += cost.product ? cost.flops : 0;
  return flops;
}

double flops_of_a_sample(const Model& model, const StepBenchData& data, Compute& compute,
                         const ModelWeights& weights) {
  const io::Journeys& journeys = data.batches.front().front();
  auto device = std::make_unique<OpProfile>(compute.device());
  const OpProfile& profile = *device;
  Compute counting(std::move(device), 1);
  std::vector<float> gradient(weights.dense.size());
  Inputs& inputs = counting.thread(0).inputs;
  inputs.fill(journeys, model.stats(), model.options(), model.positions());
  LossSums losses{};
  RowGradients rows;
  model.loss(counting.pass(0, weights.dense.data(), gradient.data()), inputs, weights, losses,
             &rows);
  return product_flops(profile.costs()) / static_cast<double>(journeys.size());
}

// COLLECTIVE. Best of a few: the inputs of a batch made by all threads and packed, as a step on a
// GPU has them.
double packing_seconds(const Model& model, const StepBenchData& data, Compute& compute,
                       Communicator& world) {
  if (model.options().proxy_mode()) return 0;
  BatchPacker packer(model);
  Staging staging(compute.device());
  double best = std::numeric_limits<double>::infinity();
  for (int64_t repeat = 0; repeat < 3 * kBatches; ++repeat) {
    const Timer timer;
    packer.pack(compute.pool(), data.batches[static_cast<size_t>(repeat % kBatches)], {},
                Padding::shared_sizes, world.size() > 1 ? RowsOf::all_ranks : RowsOf::batch, world,
                staging);
    best = std::min(best, timer.seconds());
  }
  return best;
}

}  // namespace

StepBenchData make_step_bench_data(const StepBenchInputs& in, int64_t batches) {
  StepBenchData data;
  data.block_rows = micro_block_rows(in.batch);
  data.total_blocks = in.batch / data.block_rows;
  const io::LaneRange mine = io::lanes_of_rank(data.total_blocks, in.world.rank(), in.world.size());
  data.my_blocks = mine.last - mine.first;
  LevelBOptions level;
  level.clusters = in.shape.clusters;
  const std::unique_ptr<Simulator> simulator = make_level_b(level, in.shape);
  data.batches.resize(static_cast<size_t>(batches));
  for (int64_t batch = 0; batch < batches; ++batch) {
    std::vector<io::Journeys>& blocks = data.batches[static_cast<size_t>(batch)];
    blocks.resize(static_cast<size_t>(data.my_blocks));
    for (int64_t block = 0; block < data.my_blocks; ++block) {
      const int64_t number = batch * data.total_blocks + mine.first + block;
      simulator->append(number * data.block_rows, data.block_rows,
                        blocks[static_cast<size_t>(block)]);
    }
  }

  // The same on every rank: from the first rows drawn, whoever trains on them.
  io::Journeys sample;
  simulator->append(0, 4096, sample);
  FeatureStats stats;
  stats.schema = simulator->schema();
  stats.dense = scales_of(sample.dense, stats.schema.dense);
  stats.touch_dense = scales_of(sample.touch_dense, stats.schema.touch_dense);
  stats.longest = in.shape.max_touches;
  if (stats.schema.item) stats.item_admitted.assign(static_cast<size_t>(in.model.item_rows), 1);
  if (in.model.proxy_mode()) {
    const double clusters = static_cast<double>(stats.schema.clusters);
    stats.cluster_log_share.assign(static_cast<size_t>(stats.schema.clusters),
                                   static_cast<float>(-std::log(clusters)));
  }
  data.stats = std::make_shared<FeatureStats>(std::move(stats));
  return data;
}

namespace {

// COLLECTIVE. `profile`: of the device that in.compute has, or null.
StepBench timed_steps(const StepBenchInputs& in, OpProfile* profile) {
  const StepBenchData data = make_step_bench_data(in, kBatches);
  const std::unique_ptr<Model> model = make_model(data.stats, in.model, in.shape.max_touches);
  ModelWeights weights = model->fresh_weights(1);
  StepBench bench;
  bench.dense_parameters = model->layout().size();
  if (profile == nullptr) {
    bench.flops_per_sample = flops_of_a_sample(*model, data, in.compute, weights);
  }
  bench.packing_seconds = packing_seconds(*model, data, in.compute, in.world);
  bench.limits = measure_limits(in.compute.device());

  const TrainOptions defaults;
  StepState state(*model, in.compute, in.world, weights, data.my_blocks, data.total_blocks,
                  data.block_rows, {.deterministic = in.deterministic});
  state.clip_norm = defaults.clip_norm;
  const OptimizerSettings settings{defaults.learning_rate, defaults.row_learning_rate,
                                   defaults.weight_decay};
  std::vector<double> seconds, processor;
  for (int64_t step = 0; step < kUnmeasured + in.steps; ++step) {
    if (step == kUnmeasured) {
      state.phases.restart();
      if (profile != nullptr) profile->reset();
    }
    const Timer timer;
    const double processor_before = io::process_cpu_seconds();
    train_step(state, data.batches[static_cast<size_t>(step % kBatches)], step + 1, settings,
               false);
    if (step < kUnmeasured) continue;
    seconds.push_back(timer.seconds());
    processor.push_back(io::process_cpu_seconds() - processor_before);
  }
  std::sort(seconds.begin(), seconds.end());
  bench.median_seconds = seconds[seconds.size() / 2];
  bench.best_seconds = seconds.front();
  bench.total_processor_seconds = std::accumulate(processor.begin(), processor.end(), 0.0);
  std::sort(processor.begin(), processor.end());
  bench.processor_seconds = processor[processor.size() / 2];
  in.world.all_reduce_sum(std::span(&bench.processor_seconds, 1), "processor time of a step");
  bench.phases = state.phases;
  if (profile != nullptr) {
    bench.costs = profile->costs();
    bench.flops_per_sample = product_flops(bench.costs) /
                             static_cast<double>(in.steps * data.my_blocks * data.block_rows);
  }
  return bench;
}

}  // namespace

StepBench bench_steps(const StepBenchInputs& in) {
  if (!in.profile) return timed_steps(in, nullptr);
  auto device = std::make_unique<OpProfile>(in.compute.device());
  OpProfile& profile = *device;
  Compute compute(std::move(device), in.compute.threads());
  StepBenchInputs profiled{in.model,         in.shape, in.batch, in.steps,
                           in.deterministic, true,     compute,  in.world};
  return timed_steps(profiled, &profile);
}

}  // namespace alm
