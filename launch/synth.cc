// alm synth: a log with known truth. Files are dealt to the ranks; what is in them depends on
// neither the number of ranks nor of threads.
#include <array>
#include <filesystem>
#include <system_error>

#include "engine/simulate/log_files.h"
#include "engine/simulate/simulator.h"
#include "kernels/base/log.h"
#include "launch/commands.h"
#include "launch/threads.h"

namespace alm {
namespace {

CommandSpec synth_spec() {
  CommandSpec spec;
  spec.name = "synth";
  spec.summary = "write a synthetic log with known ground truth, any size, in parallel";
  spec.details =
      "Level B (the default): journeys of touches with a hidden confounder, exact effects in "
      "/truth. "
      "Level A: an arm log of four arms whose every probability is known. "
      "The files are the same bytes for any number of ranks and threads.";
  spec.options = {
      {.name = "out", .help = "Empty or new directory for the log.", .required = true},
      {.name = "journeys",
       .type = OptionType::integer,
       .default_text = "300000",
       .help = "Journeys drawn (with --keep-negatives below 1 fewer are written).",
       .lowest = 0,
       .highest = 1e15},
      {.name = "clusters",
       .type = OptionType::integer,
       .default_text = "0",
       .help = "Treatment clusters K; 0: the shape's own (tiny 100, reference and paper 1000).",
       .lowest = 0,
       .highest = 4e9},
      {.name = "level",
       .default_text = "B",
       .help = "A: four arms, one touch each, everything discrete; B: sequences.",
       .choices = {"A", "B"}},
      {.name = "shape",
       .default_text = "tiny",
       .help =
           "Columns and lengths of a level B log: two dense columns, or those of the benchmark.",
       .choices = {"tiny", "reference", "paper"}},
      {.name = "seed",
       .type = OptionType::integer,
       .default_text = "1",
       .help = "Makes the clusters and every row.",
       .lowest = 0,
       .highest = 9e15},
      {.name = "confounding",
       .type = OptionType::real,
       .default_text = "1.2",
       .help = "How much the hidden confounder chooses touches; 0: not at all.",
       .lowest = -20,
       .highest = 20},
      {.name = "u-to-m",
       .type = OptionType::real,
       .default_text = "0",
       .help = "Effect of the hidden confounder on the mediator's logit (breaks identification).",
       .lowest = -20,
       .highest = 20},
      {.name = "direct",
       .type = OptionType::real,
       .default_text = "0",
       .help = "Effect of a touch past its mediator, for clusters the confounder likes.",
       .lowest = 0,
       .highest = 1},
      {.name = "feedback",
       .type = OptionType::flag,
       .default_text = "false",
       .help = "After a mediator event the next touch repeats the cluster half of the time."},
      {.name = "rare",
       .type = OptionType::flag,
       .default_text = "false",
       .help = "Outcomes in about one journey of twenty."},
      {.name = "leak",
       .type = OptionType::real,
       .default_text = "0",
       .help = "Probability that an outcome turns proxy V3 and the match of a touch to 1.",
       .lowest = 0,
       .highest = 1},
      {.name = "mediator-leak",
       .type = OptionType::real,
       .default_text = "0",
       .help = "Probability that an outcome turns the observed mediator of a touch to 1.",
       .lowest = 0,
       .highest = 1},
      {.name = "proxy-noise",
       .type = OptionType::real,
       .default_text = "0",
       .help = "Probability that a proxy of the mediator is flipped.",
       .lowest = 0,
       .highest = 1},
      {.name = "keep-negatives",
       .type = OptionType::real,
       .default_text = "1",
       .help = "Share of journeys without outcome that are kept; the weight column undoes it.",
       .lowest = 1e-6,
       .highest = 1},
      {.name = "rows-per-file",
       .type = OptionType::integer,
       .default_text = "1000000",
       .help = "Journeys drawn for one file; ranks share the work by files.",
       .lowest = 1,
       .highest = 1e15},
      {.name = "codec",
       .default_text = "deflate",
       .help = "Compression of the files.",
       .choices = {"none", "deflate", "zstd", "lz4"}},
  };
  return spec;
}

std::unique_ptr<Simulator> make_simulator(const Options& options) {
  const uint64_t seed = static_cast<uint64_t>(options.integer("seed"));
  if (options.text("level") == "A") {
    for (const char* name : {"clusters", "shape", "confounding", "u-to-m", "direct", "feedback",
                             "rare", "leak", "mediator-leak", "proxy-noise", "keep-negatives"}) {
      if (options.given(name)) {
        throw UserError(
            format("--%s belongs to level B; level A is one fixed law: leave it out", name));
      }
    }
    return make_level_a(seed);
  }
  const LogShape shape = shape_by_name(options.text("shape"));
  LevelBOptions level;
  level.seed = seed;
  level.clusters = options.integer("clusters") > 0 ? options.integer("clusters") : shape.clusters;
  level.confounding = options.real("confounding");
  level.u_to_m = options.real("u-to-m");
  level.direct = options.real("direct");
  level.feedback = options.flag("feedback");
  level.rare = options.flag("rare");
  level.leak = options.real("leak");
  level.mediator_leak = options.real("mediator-leak");
  level.proxy_noise = options.real("proxy-noise");
  level.keep_negatives = options.real("keep-negatives");
  return make_level_b(level, shape);
}

// COLLECTIVE: rank 0 looks, so that a file another rank has just begun is not taken for an old one.
void claim_directory(const std::string& directory, Communicator& world) {
  std::string refusal;
  if (world.rank() == 0) {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error || !std::filesystem::is_directory(directory)) {
      refusal = format("--out %s: cannot be made a directory%s%s", directory.c_str(),
                       error ? ": " : "", error ? error.message().c_str() : "");
    } else if (!std::filesystem::is_empty(directory, error) || error) {
      refusal = format("--out %s is not empty: delete what is in it or name another directory",
                       directory.c_str());
    }
  }
  refusal = world.broadcast_string(refusal, 0, "directory of synth");
  if (!refusal.empty()) throw UserError(refusal);
}

int run_synth(const Options& options, Communicator& world) {
  const std::unique_ptr<Simulator> simulator = make_simulator(options);
  LogFilesPlan plan;
  plan.directory = options.text("out");
  plan.rows = options.integer("journeys");
  plan.rows_per_file = options.integer("rows-per-file");
  plan.codec = io::codec_by_name(options.text("codec"));
  claim_directory(plan.directory, world);
  ThreadPool pool(threads_of_rank(options, world));

  const Timer timer;
  WrittenRows written;
  {
    Progress bar("synth", draws_of_rank(plan, world.rank(), world.size()), "journeys");
    written = write_log_files(*simulator, plan, world.rank(), world.size(), pool,
                              [&](int64_t drawn) { bar.update(drawn); });
  }
  std::array<int64_t, 6> sums{written.files,    written.rows,      written.touches,
                              written.outcomes, written.mediators, written.bytes};
  world.all_reduce_sum(std::span<int64_t>(sums), "counts of synth");
  const double seconds = timer.seconds();
  const auto [files, rows, touches, outcomes, mediators, bytes] = sums;
  const auto share = [](int64_t part, int64_t whole) {
    return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
  };
  log_info(
      format("%s: %s journeys in %s files, %s; outcome %.4f, mediator %.4f per touch, "
             "%.2f touches per journey; %s drawn in %s (%s journeys/s)",
             plan.directory.c_str(), with_commas(rows).c_str(), with_commas(files).c_str(),
             human_bytes(static_cast<double>(bytes)).c_str(), share(outcomes, rows),
             share(mediators, touches), share(touches, rows), with_commas(plan.rows).c_str(),
             human_seconds(seconds).c_str(),
             human_count(static_cast<double>(plan.rows) / seconds).c_str()));
  return 0;
}

}  // namespace

Command synth_command() {
  return {synth_spec(), run_synth};
}

}  // namespace alm
