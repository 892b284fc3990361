// alm plan: what a training would take, before it is submitted.
#include <unistd.h>

#include <cstdio>

#include "engine/train/device_step.h"
#include "engine/train/memory_plan.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"
#include "launch/commands.h"
#include "launch/device_choice.h"
#include "launch/log_flags.h"
#include "launch/threads.h"
#include "launch/train_flags.h"
#include "launch/train_rules.h"

namespace alm {
namespace {

constexpr const char* kNotCounted =
    "not counted: what the CUDA driver, NCCL (also where it rounds a rank's gradient up) and MPI "
    "keep for themselves, the program, the system's cache of files";

// "80G", of 1,024.
int64_t bytes_of(const std::string& text) {
  const std::string units = "KMGT";
  size_t used = 0;
  double bytes = 0;
  try {
    bytes = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  const size_t unit = used + 1 == text.size() ? units.find(text.back()) : std::string::npos;
  for (size_t at = 0; unit != std::string::npos && at <= unit; ++at) bytes *= 1024;
  const bool whole = used == text.size() || unit != std::string::npos;
  if (used == 0 || !whole || !(bytes >= 1) || bytes > 1e18) {
    throw UserError("--memory '" + text + "' is not a size such as 80G, 512M or a number of bytes");
  }
  return static_cast<int64_t>(bytes);
}

std::string bytes_text(int64_t bytes) {
  return human_bytes(static_cast<double>(bytes));
}

// The device that would take the training steps; null: the CPU.
std::unique_ptr<DeviceWithoutMemory> planned_gpu(const Options& options,
                                                 const TrainOptions& resolved,
                                                 Communicator& world) {
  const std::string& asked = options.text("device");
  const Precision precision = precision_on_gpu(options, resolved);
  const std::string not_yet = not_yet_on_device(resolved, precision);
  // That there is no GPU here is no obstacle where one is asked for.
  const Gpu gpu = asked == "auto" && not_yet.empty() ? gpu_of_rank(world) : Gpu{true, "", ""};
  if (!choose_device(asked, gpu, not_yet).gpu) return nullptr;
  return make_gpu_without_memory(precision, products_on_gpu(resolved));
}

// Batches are multiples of 16, large ones of 256.
constexpr int64_t kLargestUnit = 256;

struct Fitting {
  int64_t memory = 0;  // of a rank; 0: not known
  std::string of;      // where that is known from
  int64_t batch = 0;   // the largest that fits, 0: none
};

// Where a run makes more than one fit.
std::string step_lines(const MemoryPlan& plan) {
  std::string text = format("  %-26s %10s %14s\n", "", "fits", "steps at most");
  FitSteps all{"total"};
  const auto line = [&](const FitSteps& of) {
    text += format("  %-26s %10s %14s\n", of.name.c_str(), with_commas(of.fits).c_str(),
                   with_commas(of.steps).c_str());
  };
  for (const FitSteps& of : plan.fit_steps) {
    line(of);
    all.fits += of.fits;
    all.steps += of.steps;
  }
  line(all);
  return plan.fit_steps.size() > 1 ? text : "";
}

// This machine, as one that trains.
struct Host {
  int64_t memory = 0;  // bytes
  int64_t ranks = 0;   // of the job, if all were here
};

// Whether its ranks fit together, and if not how many do; empty where they do.
std::string host_line(const MemoryPlan& plan, const Host& host) {
  const int64_t together = bytes_of_host(plan, host.ranks);
  if (together <= host.memory) return "";
  int64_t fitting = host.ranks - 1;
  while (fitting > 0 && bytes_of_host(plan, fitting) > host.memory) --fitting;
  const std::string most =
      fitting > 0 ? format("at most %lld a host like it", static_cast<long long>(fitting))
                  : "not even one fits a host like it";
  return format("  %lld rank%s of one host take%s %s of it together, and this machine has %s: %s\n",
                static_cast<long long>(host.ranks), host.ranks == 1 ? "" : "s",
                host.ranks == 1 ? "s" : "", bytes_text(together).c_str(),
                bytes_text(host.memory).c_str(), most.c_str());
}

std::string memory_lines(const MemoryPlan& plan, bool gpu, const Host& host) {
  std::string text = format("\nmemory of a rank, last fit   %10s %10s\n", gpu ? "GPU" : "", "host");
  const auto line = [&](const char* name, int64_t MemoryUse::*kind) {
    text += format("  %-26s %10s %10s\n", name, gpu ? bytes_text(plan.device.*kind).c_str() : "",
                   bytes_text(plan.host.*kind).c_str());
  };
  line("tables", &MemoryUse::tables);
  line("other weights", &MemoryUse::weights);
  line("state of the optimiser", &MemoryUse::optimiser);
  line("gradients", &MemoryUse::gradients);
  line("activations", &MemoryUse::activations);
  line("batches", &MemoryUse::batches);
  text += format("  %-26s %10s %10s\n", "total", gpu ? bytes_text(plan.device.total()).c_str() : "",
                 bytes_text(plan.host.total()).c_str());
  text += format(
      "  rank 0 while it writes a checkpoint: %s more; estimates, later: up to %s beside "
      "the weights; about %s of the host at most\n",
      bytes_text(plan.checkpoint_copy).c_str(), bytes_text(plan.estimates).c_str(),
      bytes_text(plan.peak).c_str());
  return text + host_line(plan, host) + "  " + kNotCounted + "\n";
}

std::string plan_text(const MemoryPlan& plan, const PlanInputs& in, const Fitting& fitting,
                      const Host& host) {
  const PlannedSteps& steps = plan.main;
  std::string text = in.trains == nullptr
                         ? std::string("planned for the CPU (for GPUs: --device cuda)\n")
                         : format("planned for a GPU a rank, activations of touches in %s\n",
                                  in.trains->activations() == Precision::bf16 ? "bf16" : "fp32");
  text += format(
      "%s journeys to train on, %lld rank%s of %lld thread%s, batch %lld (%lld a rank)\n",
      with_commas(in.survey.fit_rows.front()).c_str(), static_cast<long long>(in.ranks),
      in.ranks == 1 ? "" : "s", static_cast<long long>(in.threads), in.threads == 1 ? "" : "s",
      static_cast<long long>(steps.batch), static_cast<long long>(steps.batch / in.ranks));
  int64_t fits = 0;
  for (const FitSteps& of : plan.fit_steps) fits += of.fits;
  text += format(
      "%s fit: %lld steps at most, %lld epochs of %lld and %lld steps of the second stage; "
      "%lld fit%s in all, one after the other\n",
      plan.fit_steps.front().name.c_str(), static_cast<long long>(steps.total()),
      static_cast<long long>(steps.epochs), static_cast<long long>(steps.steps_per_epoch),
      static_cast<long long>(steps.refit), static_cast<long long>(fits), fits == 1 ? "" : "s");
  text += step_lines(plan) + memory_lines(plan, in.trains != nullptr, host);
  if (fitting.memory > 0) {
    const bool all = fitting.batch > in.survey.fit_rows.front() - kLargestUnit;
    text += fitting.batch > 0 ? format("\nlargest batch that fits %s (%s): %s%s\n",
                                       bytes_text(fitting.memory).c_str(), fitting.of.c_str(),
                                       with_commas(fitting.batch).c_str(),
                                       all ? ", as many journeys as there are" : "")
                              : format("\nno batch fits %s (%s)\n",
                                       bytes_text(fitting.memory).c_str(), fitting.of.c_str());
  } else {
    text += "\nlargest batch that fits: say --memory, of one GPU\n";
  }
  text += format(
      "checkpoints: the last takes %s, one within a fit up to %s; RUN holds two of them, "
      "three while one is written\n",
      bytes_text(plan.checkpoint).c_str(), bytes_text(plan.checkpoint_in_fit).c_str());
  const int64_t blocks = std::ssize(in.log.blocks());
  if (in.survey.blocks_read < blocks) {
    text += format("counted in %lld of the log's %lld blocks: steps may differ by a few\n",
                   static_cast<long long>(in.survey.blocks_read), static_cast<long long>(blocks));
  }
  return text;
}

io::Json plan_json(const MemoryPlan& plan, const PlanInputs& in, const Fitting& fitting,
                   const Host& host) {
  const PlannedSteps& steps = plan.main;
  io::Json fit_steps = io::Json::array();
  for (const FitSteps& of : plan.fit_steps) {
    fit_steps.push_back({{"name", of.name}, {"fits", of.fits}, {"steps", of.steps}});
  }
  const auto known = [](int64_t value) { return value > 0 ? io::Json(value) : io::Json(); };
  return {{"schema", "alm-plan/1"},
          {"ranks", in.ranks},
          {"threads", in.threads},
          {"batch", steps.batch},
          {"epochs", steps.epochs},
          {"steps_per_epoch", steps.steps_per_epoch},
          {"refit_steps", steps.refit},
          {"fits_kept", plan.fits},
          {"fit_steps", fit_steps},
          {"training_rows", in.survey.fit_rows.front()},
          {"device", in.trains != nullptr ? to_json(plan.device) : io::Json()},
          {"host", to_json(plan.host)},
          {"host_checkpoint_copy", plan.checkpoint_copy},
          {"host_estimates", plan.estimates},
          {"host_peak", plan.peak},
          {"host_peak_of_others", plan.peak_of_others},
          {"host_together", bytes_of_host(plan, host.ranks)},
          {"host_memory", host.memory},
          {"checkpoint_bytes", plan.checkpoint},
          {"checkpoint_in_fit_bytes", plan.checkpoint_in_fit},
          {"memory", known(fitting.memory)},
          {"largest_batch", known(fitting.batch)},
          {"blocks_read", in.survey.blocks_read},
          {"blocks", std::ssize(in.log.blocks())},
          {"not_counted", kNotCounted}};
}

int run_plan(const Options& options, Communicator& world) {
  const TrainOptions resolved = train_options(options);
  Fitting fitting;
  if (options.given("memory")) fitting.memory = bytes_of(options.text("memory"));
  fitting.of = "--memory";
  if (resolved.tabular) {
    throw UserError("--nuisance tabular counts and trains no network: there is nothing to plan");
  }
  const std::shared_ptr<const io::Log> log = open_log(options, world);
  check_log_fits(resolved, log->schema());
  const std::unique_ptr<DeviceWithoutMemory> gpu = planned_gpu(options, resolved, world);
  const std::unique_ptr<Device> cpu = make_cpu_device(options.text("simd"));
  ThreadPool pool(threads_of_rank(options, world));
  const LogSurvey survey = survey_log(*log, resolved, plan_fits(resolved), pool);
  const std::unique_ptr<Model> model =
      make_model(survey.stats, resolved.model, log->options().max_touches);
  const int64_t ranks = options.integer("ranks") > 0 ? options.integer("ranks") : world.size();
  const PlanInputs in{*log, survey, resolved, *model, *cpu, gpu.get(), ranks, pool.threads()};
  const MemoryPlan plan = plan_memory(in);
  // Under a launcher the ranks of this host are known.
  const Host host{::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGE_SIZE),
                  options.integer("ranks") > 0 ? ranks : world.local_size()};
  if (fitting.memory == 0 && gpu == nullptr) {
    fitting.memory = host.memory / host.ranks;
    fitting.of = host.ranks == 1 ? "this machine" : "this machine, shared by the ranks";
  }
  if (fitting.memory > 0) fitting.batch = largest_fitting_batch(in, fitting.memory);
  const std::string text = options.flag("json")
                               ? io::json_text(plan_json(plan, in, fitting, host), 2) + "\n"
                               : plan_text(plan, in, fitting, host);
  if (world.rank() == 0) std::fputs(text.c_str(), stdout);
  if (!options.given("memory") || bounded_bytes(plan, in) <= fitting.memory) return 0;
  throw UserError(
      format("a rank would take %s, more than --memory %s: use a smaller --batch, fewer "
             "--threads or more ranks, or smaller --item-rows and --cat-rows",
             bytes_text(bounded_bytes(plan, in)).c_str(), options.text("memory").c_str()));
}

}  // namespace

Command plan_command() {
  std::vector<OptionSpec> options = train_flags();
  options.insert(
      options.begin() + std::ssize(log_flags()),
      {{.name = "out", .help = "As alm train has it; neither read nor written."},
       {.name = "ranks",
        .type = OptionType::integer,
        .default_text = "0",
        .help = "Ranks that will train; 0: as many as are planning.",
        .lowest = 0,
        .highest = 1e6},
       {.name = "memory",
        .help = "What a rank may take, of its GPU or else of its host: 80G, 512M (of 1,024) or "
                "bytes. Default: none for a GPU; this machine's, shared by the ranks."},
       {.name = "json",
        .type = OptionType::flag,
        .default_text = "false",
        .help = "Print JSON instead of text for people."}});
  return {
      {.name = "plan",
       .summary = "tell memory, steps and checkpoints of a training before it is submitted",
       .details =
           "Takes the options of alm train, and tells by kind the bytes that a rank would take, "
           "the largest batch that fits, steps and the size of checkpoints. Needs no GPU and "
           "takes no memory for the model; reads at most 64 blocks of the log. Ends with exit "
           "code 1 when a rank would take more than --memory.",
       .options = options},
      run_plan};
}

}  // namespace alm
