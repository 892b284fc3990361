// alm bench: how fast the parts are on this machine.
#include "launch/bench.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "engine/simulate/simulator.h"
#include "kernels/base/clock.h"
#include "kernels/base/text.h"
#include "launch/commands.h"
#include "launch/log_flags.h"
#include "launch/threads.h"

namespace alm {
namespace {

constexpr int64_t kMostMeasured = 1'000'000;  // of steps, seconds, batch: keeps typos cheap

// Options that belong to some of them only.
struct Share {
  const char* option;
  std::vector<std::string> of;
};
const std::vector<Share>& shares() {
  static const std::vector<Share> all = {{"model", {"train"}},
                                         {"shape", {"train", "synth"}},
                                         {"batch", {"train", "loader"}},
                                         {"steps", {"train"}},
                                         {"deterministic", {"train"}},
                                         {"precision", {"op", "train"}},
                                         {"profile", {"train"}},
                                         {"report", {"train"}},
                                         {"case", {"op"}},
                                         {"log", {"loader", "codec"}},
                                         {"index-dir", {"loader", "codec"}},
                                         {"seconds", {"synth", "loader"}},
                                         {"rows", {"metrics"}}};
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
  spec.summary =
      "measure the speed of training, synth, single operations, the loader, compression or metrics";
  spec.details =
      "train: training steps on journeys kept in memory, so without the loader. synth: rows drawn, "
      "nothing written. op: every operation on the sizes of the reference model, one thread, from "
      "warm and cold "
      "caches. "
      "loader: journeys through the streams that training and estimating read, from a warm and a "
      "cold page cache, with the shares of their time that go to reading, checking, decoding and "
      "batching, and as shares of what pread alone and the codec alone reach. codec: the columns "
      "of the log through every pipeline of compression. metrics: exact AUC and uplift areas of "
      "scores "
      "drawn anew in every pass and kept nowhere.";
  spec.subject = "what";
  spec.options = {
      {.name = "what",
       .help = "What is measured; may stand without --what, as in alm bench train.",
       .choices = {"train", "synth", "op", "loader", "codec", "metrics"},
       .required = true},
      {.name = "json",
       .help = "File for the results: one JSON object a line; of op as google-benchmark writes "
               "them, for its compare.py."},
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
      {.name = "profile",
       .type = OptionType::flag,
       .default_text = "false",
       .help = "train: what every operation takes of the step, and how near it is to the limits."},
      {.name = "report", .help = "train: file for the profile as a page with its roofline."},
      {.name = "seconds",
       .type = OptionType::real,
       .default_text = "2",
       .help = "synth, loader: how long each measurement takes, at least.",
       .lowest = 0,
       .highest = 3600},
      {.name = "rows",
       .type = OptionType::integer,
       .default_text = "100000000",
       .help = "metrics: scores drawn.",
       .lowest = 1,
       .highest = 4e9},
      {.name = "case", .help = "op: only cases whose name contains this text."},
      {.name = "log", .help = "loader, codec: log files, directories or globs.", .several = true},
      {.name = "index-dir",
       .help =
           "loader, codec: where the index files of the log go; default: beside each log file."}};
  const std::vector<OptionSpec> device =
      device_flags({"auto", "cpu", "cuda"}, "Where to compute; cuda: op alone.");
  spec.options.insert(spec.options.end(), device.begin(), device.end());
  spec.options.push_back(precision_flag());
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
  if (options.text("device") == "cuda" && what != "op") {
    throw UserError("--device cuda is not of alm bench " + what + " but of op");
  }
}

void bench_synth(const Options& options, Communicator& world, BenchResults& results) {
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

// COLLECTIVE.
int run_bench(const Options& options, Communicator& world) {
  check_options(options);
  for (const char* option : {"json", "report"}) {
    if (options.given(option)) check_output_file(option, options.text(option), true, world);
  }
  if (options.given("report") && options.text("report") == options.text("json")) {
    throw UserError("--report and --json name the same file");
  }
  const std::string& what = options.text("what");
  BenchResults results(options, world);
  if (what == "train") bench_train(options, world, results);
  if (what == "synth") bench_synth(options, world, results);
  if (what == "op") bench_op(options, world, results);
  if (what == "loader") bench_loader(options, world, results);
  if (what == "codec") bench_codec(options, results);
  if (what == "metrics") bench_metrics(options, world, results);
  results.write();
  return 0;
}

}  // namespace

BenchResults::BenchResults(const Options& options, const Communicator& world)
    : what_(options.text("what")), path_(options.text("json")), speaks_(world.rank() == 0) {}

void BenchResults::add(const std::string& line, io::Json measured) {
  if (!speaks_) return;
  if (!line.empty()) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  }
  if (measured.is_null()) return;
  io::Json whole{{"schema", "alm-bench/1"}, {"what", what_}};
  whole.update(measured);
  lines_ += whole.dump() + "\n";
}

void BenchResults::replace(const io::Json& document) {
  lines_ = document.dump(1) + "\n";
}

void BenchResults::write() const {
  if (speaks_ && !path_.empty()) io::write_text_atomically(path_, lines_);
}

Command bench_command() {
  return {bench_spec(), run_bench};
}

}  // namespace alm
