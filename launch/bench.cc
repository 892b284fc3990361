// alm bench: how fast the parts are on this machine. A line for people on stdout and, with --json,
// one JSON object a line (schema alm-bench/1).
#include <algorithm>
#include <array>
#include <cstdio>

#include "engine/simulate/simulator.h"
#include "engine/train/bench_step.h"
#include "kernels/base/clock.h"
#include "kernels/base/text.h"
#include "kernels/op_cases.h"
#include "launch/commands.h"
#include "launch/log_flags.h"
#include "launch/threads.h"

namespace alm {
namespace {

constexpr int64_t kMostMeasured = 1'000'000;  // of steps, seconds, batch: keeps typos cheap

// Options that belong to some of the four only.
struct Share {
  const char* option;
  std::vector<std::string> of;
};
const std::vector<Share>& shares() {
  static const std::vector<Share> all = {
      {"model", {"train"}}, {"shape", {"train", "synth"}}, {"batch", {"train", "loader"}},
      {"steps", {"train"}}, {"deterministic", {"train"}},  {"case", {"op"}},
      {"log", {"loader"}},  {"index-dir", {"loader"}},     {"seconds", {"synth", "loader"}}};
  return all;
}

OptionSpec whole(const char* name, const char* fallback, const char* help, double lowest) {
  return {.name = name,
          .type = OptionType::integer,
          .default_text = fallback,
          .help = help,
          .lowest = lowest,
          .highest = static_cast<double>(kMostMeasured)};
}

CommandSpec bench_spec() {
  CommandSpec spec;
  spec.name = "bench";
  spec.summary = "measure the speed of training, synth, single operations or the loader";
  spec.details =
      "train: training steps on journeys kept in memory, so without the loader. synth: rows drawn, "
      "nothing written. op: every operation on the sizes of the reference model, one thread. "
      "loader: "
      "journeys through the streams that training and estimating read, one pass to warm the caches "
      "first.";
  spec.subject = "what";
  spec.options = {
      {.name = "what",
       .help = "What is measured; may stand without --what, as in alm bench train.",
       .choices = {"train", "synth", "op", "loader"},
       .required = true},
      {.name = "json", .help = "File for the results, one JSON object a line."},
      {.name = "model",
       .default_text = "reference",
       .help = "train: the named set of sizes.",
       .choices = {"tiny", "reference", "paper"}},
      {.name = "shape",
       .default_text = "reference",
       .help = "train, synth: columns and lengths of the journeys.",
       .choices = {"tiny", "reference", "paper"}},
      whole("batch", "8192", "train, loader: journeys of a global batch.", 1),
      whole("steps", "20", "train: steps measured, after two that are not.", 1),
      {.name = "deterministic",
       .type = OptionType::flag,
       .default_text = "false",
       .help = "train: in the mode that is bit-identical for any number of ranks and threads."},
      {.name = "seconds",
       .type = OptionType::real,
       .default_text = "2",
       .help = "synth, loader: how long each measurement takes, at least.",
       .lowest = 0,
       .highest = 3600},
      {.name = "case", .help = "op: only cases whose name contains this text."},
      {.name = "log", .help = "loader: log files, directories or globs.", .several = true},
      {.name = "index-dir",
       .help = "loader: where the index files of the log go; default: beside each log file."}};
  const std::vector<OptionSpec> device = device_flags();
  spec.options.insert(spec.options.end(), device.begin(), device.end());
  return spec;
}

void check_options(const Options& options) {
  const std::string& what = options.text("what");
  for (const Share& share : shares()) {
    const bool fits = std::find(share.of.begin(), share.of.end(), what) != share.of.end();
    if (!fits && options.given(share.option)) {
      throw UserError(format("--%s is not of alm bench %s but of %s", share.option, what.c_str(),
                             join(share.of, " and ").c_str()));
    }
  }
}

// The measurements of a run. Ranks above 0 say and write nothing.
class Results {
 public:
  Results(const Options& options, const Communicator& world)
      : what_(options.text("what")), path_(options.text("json")), speaks_(world.rank() == 0) {}

  void add(const std::string& line, io::Json measured) {
    if (!speaks_) return;
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
    io::Json whole{{"schema", "alm-bench/1"}, {"what", what_}};
    whole.update(measured);
    lines_ += whole.dump() + "\n";
  }
  void write() const {
    if (speaks_ && !path_.empty()) io::write_text_atomically(path_, lines_);
  }

 private:
  std::string what_;
  std::string path_;
  bool speaks_;
  std::string lines_;
};

void bench_train(const Options& options, Communicator& world, Results& results) {
  const std::unique_ptr<Compute> compute = make_compute(options, world);
  const StepBench bench = bench_steps({.model = model_options_by_name(options.text("model")),
                                       .shape = shape_by_name(options.text("shape")),
                                       .batch = options.integer("batch"),
                                       .steps = options.integer("steps"),
                                       .deterministic = options.flag("deterministic"),
                                       .compute = *compute,
                                       .world = world});
  const PhaseSeconds& phases = bench.phases;
  const double rate = static_cast<double>(options.integer("batch")) / bench.median_seconds;
  const double gflop = 1e-9 * bench.flops_per_sample;
  results.add(
      format("train %s, batch %lld, %lld ranks x %lld threads%s: %s samples/s, step %.1f ms median "
             "(%.1f best), compute %.1f %% reduce %.1f %% update %.1f %%; %.2f MFLOP/sample, %.1f "
             "GFLOP/s",
             options.text("model").c_str(), static_cast<long long>(options.integer("batch")),
             static_cast<long long>(world.size()), static_cast<long long>(compute->threads()),
             options.flag("deterministic") ? ", deterministic" : "", human_count(rate).c_str(),
             1e3 * bench.median_seconds, 1e3 * bench.best_seconds,
             100 * phases.compute / phases.total(), 100 * phases.reduce / phases.total(),
             100 * phases.update / phases.total(), 1e3 * gflop, gflop * rate),
      {{"model", options.text("model")},
       {"shape", options.text("shape")},
       {"batch", options.integer("batch")},
       {"steps", options.integer("steps")},
       {"deterministic", options.flag("deterministic")},
       {"ranks", world.size()},
       {"threads", compute->threads()},
       {"device", compute->device().describe()},
       {"samples_per_s", rate},
       {"step_ms_median", 1e3 * bench.median_seconds},
       {"step_ms_best", 1e3 * bench.best_seconds},
       {"phase_shares",
        {{"compute", phases.compute / phases.total()},
         {"reduce", phases.reduce / phases.total()},
         {"update", phases.update / phases.total()}}},
       {"mflop_per_sample", 1e3 * gflop},
       {"gflop_per_s", gflop * rate},
       {"dense_parameters", bench.dense_parameters}});
}

void bench_synth(const Options& options, Communicator& world, Results& results) {
  const LogShape shape = shape_by_name(options.text("shape"));
  LevelBOptions level;
  level.clusters = shape.clusters;
  const std::unique_ptr<Simulator> simulator = make_level_b(level, shape);
  ThreadPool pool(threads_of_rank(options, world));
  const SimulationRate mine = measure_simulation(*simulator, pool, options.real("seconds"));
  std::array<double, 2> rates{mine.rows_per_second(),
                              static_cast<double>(mine.touches) / mine.seconds};
  world.all_reduce_sum(std::span<double>(rates), "rates of synth");
  results.add(format("synth %s, %lld ranks x %lld threads: %s rows/s, %s touches/s, not written",
                     options.text("shape").c_str(), static_cast<long long>(world.size()),
                     static_cast<long long>(pool.threads()), human_count(rates[0]).c_str(),
                     human_count(rates[1]).c_str()),
              {{"shape", options.text("shape")},
               {"ranks", world.size()},
               {"threads", pool.threads()},
               {"rows_per_s", rates[0]},
               {"touches_per_s", rates[1]}});
}

void bench_op(const Options& options, Communicator& world, Results& results) {
  const std::unique_ptr<Compute> compute = make_compute(options, world);
  int64_t found = 0;
  for (const OpCase& op_case : performance_cases()) {
    if (op_case.name.find(options.text("case")) == std::string::npos) continue;
    ++found;
    const OpTiming warm = time_op(op_case, compute->device(), false);
    results.add(format("%-44s %10.2f us %8.1f GFLOP/s %8.1f GB/s", op_case.name.c_str(),
                       1e6 * warm.seconds, warm.gflops, warm.gigabytes),
                {{"name", op_case.name},
                 {"device", compute->device().describe()},
                 {"us", 1e6 * warm.seconds},
                 {"gflop_per_s", warm.gflops},
                 {"gb_per_s", warm.gigabytes}});
  }
  if (found == 0) {
    throw UserError(format("no case's name contains \"%s\"; without --case all are listed",
                           options.text("case").c_str()));
  }
}

struct LoaderRate {
  double journeys = 0;
  double seconds = 0;
};

// This rank's blocks, over and over.
LoaderRate scan_for(const std::shared_ptr<const io::Log>& log, int64_t threads, double seconds,
                    const Communicator& world) {
  const BlockRange mine =
      blocks_of_rank(static_cast<int64_t>(log->blocks().size()), world.rank(), world.size());
  LoaderRate rate;
  const Timer timer;
  do {
    io::ScanStream::Options scan;
    scan.first_block = mine.first;
    scan.last_block = mine.last;
    scan.threads = threads;
    io::ScanStream stream(log, scan);
    int64_t block = 0;
    while (stream.next(&block) != nullptr) continue;
    rate.journeys += static_cast<double>(stream.report().rows);
    rate.seconds = timer.seconds();
  } while (rate.seconds < seconds);
  return rate;
}

LoaderRate stream_for(const std::shared_ptr<const io::Log>& log, int64_t batch, int64_t threads,
                      double seconds, const Communicator& world) {
  std::vector<int64_t> rows;
  for (const io::BlockInfo& block : log->blocks()) rows.push_back(block.rows);
  const int64_t lanes = batch / micro_block_rows(batch);
  const auto plan =
      std::make_shared<io::SamplePlan>(io::SamplePlanInput{std::move(rows), 1, batch, lanes});
  io::TrainStream::Options train;
  train.lanes = io::lanes_of_rank(lanes, world.rank(), world.size());
  train.threads = threads;
  LoaderRate rate;
  const Timer timer;
  io::TrainStream stream(log, plan, train);
  do {
    for (const io::Journeys& journeys : stream.next()) {
      rate.journeys += static_cast<double>(journeys.size());
    }
    rate.seconds = timer.seconds();
  } while (rate.seconds < seconds);
  return rate;
}

void bench_loader(const Options& options, Communicator& world, Results& results) {
  if (options.texts("log").empty()) throw UserError("alm bench loader needs --log");
  const int64_t threads = threads_of_rank(options, world);
  io::LogOptions log_options;
  log_options.index_dir = options.text("index-dir");
  const std::shared_ptr<const io::Log> log = io::Log::open(options.texts("log"), log_options);
  double bytes = 0;
  for (const io::LogFile& file : log->files()) bytes += static_cast<double>(file.bytes);
  const double bytes_per_journey = bytes / static_cast<double>(std::max<int64_t>(log->rows(), 1));

  scan_for(log, threads, 0, world);  // warms the caches
  const auto report = [&](const char* stream, LoaderRate mine) {
    double rate = mine.journeys / mine.seconds;
    world.all_reduce_sum(std::span<double>(&rate, 1), "rate of the loader");
    results.add(
        format("loader %s, %lld ranks x %lld threads: %s journeys/s, %s/s of the files, "
               "warm",
               stream, static_cast<long long>(world.size()), static_cast<long long>(threads),
               human_count(rate).c_str(), human_bytes(rate * bytes_per_journey).c_str()),
        {{"stream", stream},
         {"ranks", world.size()},
         {"threads", threads},
         {"journeys_per_s", rate},
         {"bytes_per_s", rate * bytes_per_journey}});
  };
  report("scan", scan_for(log, threads, options.real("seconds"), world));
  report("train",
         stream_for(log, options.integer("batch"), threads, options.real("seconds"), world));
}

// COLLECTIVE.
int run_bench(const Options& options, Communicator& world) {
  check_options(options);
  const std::string& what = options.text("what");
  Results results(options, world);
  if (what == "train") bench_train(options, world, results);
  if (what == "synth") bench_synth(options, world, results);
  if (what == "op") bench_op(options, world, results);
  if (what == "loader") bench_loader(options, world, results);
  results.write();
  return 0;
}

}  // namespace

Command bench_command() {
  return {bench_spec(), run_bench};
}

}  // namespace alm
