#include "launch/train_flags.h"

#include <string_view>

#include "kernels/base/text.h"
#include "launch/log_flags.h"
#include "launch/train_rules.h"

namespace alm {
namespace {

// Sizes and weights of the model: each an option, 0 (weights: -1) meaning "as --model says".
struct SizeFlag {
  const char* name;
  int64_t ModelOptions::*member;
  const char* help;
};
constexpr SizeFlag kSizeFlags[] = {
    {"cat-width", &ModelOptions::cat_width, "Width of the embedding of a context id."},
    {"cat-rows", &ModelOptions::cat_rows, "Rows of the table of context ids."},
    {"item-width", &ModelOptions::item_width, "Width of the embedding of an item."},
    {"item-rows", &ModelOptions::item_rows, "Rows of the item table."},
    {"item-admission", &ModelOptions::item_admission,
     "Training touches an item needs for a row of its own."},
    {"cluster-width", &ModelOptions::cluster_width, "Width of the embedding of a cluster."},
    {"position-width", &ModelOptions::position_width, "Width of the embedding of a position."},
    {"context-hidden", &ModelOptions::context_hidden, "Hidden width of the context encoder."},
    {"context-width", &ModelOptions::context_width, "Width of an encoded context."},
    {"touch-hidden", &ModelOptions::touch_hidden, "Hidden width of the touch encoder."},
    {"touch-width", &ModelOptions::touch_width, "Width of an encoded touch."},
    {"heads", &ModelOptions::heads, "Heads of the attention over touches."},
    {"head-hidden", &ModelOptions::head_hidden,
     "Hidden width of the mediator, potency and second-stage heads."},
    {"confounding-hidden", &ModelOptions::confounding_hidden,
     "Hidden width of the confounding head."},
    {"critic-width", &ModelOptions::critic_width, "Width of the critic's sides."},
    {"code-width", &ModelOptions::code_width, "Proxy mode: width of the mediator code."},
    {"discriminator-hidden", &ModelOptions::discriminator_hidden,
     "Proxy mode: hidden width of the discriminator."},
    {"match-width", &ModelOptions::match_width, "Proxy mode: width of the matching score's sides."},
};
// Wider layers are slips of the keyboard.
constexpr double kWidest = 65536;

struct WeightFlag {
  const char* name;
  double ModelOptions::*member;
  const char* help;
};
constexpr WeightFlag kWeightFlags[] = {
    {"mediator-weight", &ModelOptions::w_mediator, "Weight of the mediator loss."},
    {"outcome-weight", &ModelOptions::w_outcome, "Weight of the outcome loss."},
    {"second-stage-weight", &ModelOptions::w_second, "Weight of the second-stage loss."},
    {"proxy-weight", &ModelOptions::w_proxy, "Proxy mode: weight of the code's match loss."},
    {"adversary-weight", &ModelOptions::w_adversary,
     "Proxy mode: weight of the discriminator's reversed gradient; 0: it learns and is not heard."},
    {"contrastive-weight", &ModelOptions::w_contrastive,
     "Proxy mode: weight of the matching score's loss."},
};

OptionSpec integer(const char* name, const char* fallback, const char* help, double lowest,
                   double highest = 1e9) {
  return {.name = name,
          .type = OptionType::integer,
          .default_text = fallback,
          .help = help,
          .lowest = lowest,
          .highest = highest};
}
OptionSpec real(const char* name, const char* fallback, const char* help, double lowest,
                double highest) {
  return {.name = name,
          .type = OptionType::real,
          .default_text = fallback,
          .help = help,
          .lowest = lowest,
          .highest = highest};
}
OptionSpec flag(const char* name, const char* help) {
  return {.name = name, .type = OptionType::flag, .default_text = "false", .help = help};
}

constexpr long long kLargestCount = 1'000'000'000;

// "auto" is 0.
int64_t count_or_auto(const Options& options, const std::string& name) {
  const std::string& text = options.text(name);
  if (text == "auto") return 0;
  size_t used = 0;
  long long value = 0;
  try {
    value = std::stoll(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used != text.size() || text.empty() || value < 1 || value > kLargestCount) {
    throw UserError("--" + name + " '" + text +
                    "' is neither auto nor a whole number from 1 to 1,000,000,000");
  }
  return value;
}

}  // namespace

std::vector<OptionSpec> train_flags() {
  std::vector<OptionSpec> flags = log_flags();
  flags.push_back({.name = "model",
                   .default_text = "reference",
                   .help = "The named set of sizes.",
                   .choices = {"tiny", "reference", "paper"}});
  flags.push_back({.name = "mediator",
                   .default_text = "observed",
                   .help = "Where the mediator comes from: logged events, or a code learned from "
                           "/touch/match, whose output is a score and not an effect.",
                   .choices = {"observed", "proxy"}});
  flags.push_back({.name = "proxy-input",
                   .default_text = "none",
                   .help = "Proxy mode: columns of /touch/proxy that the code reads; clean: those "
                           "not marked leaky.",
                   .choices = {"none", "clean", "all"}});
  flags.push_back({.name = "outcome-head",
                   .default_text = "separable",
                   .help = "Sequence logs: how mediators and touches act together on the outcome; "
                           "separable: each touch apart, closed forms, do and removal; general: "
                           "any way, sums over mediators, ett alone. Agreement of both checks "
                           "separability.",
                   .choices = {"separable", "general"}});
  flags.push_back({.name = "nuisance",
                   .default_text = "network",
                   .help = "Nuisances by networks, or by counting (arm logs with few strata).",
                   .choices = {"network", "tabular"}});
  flags.push_back(
      flag("tmle",
           "Arm logs: a targeted (TMLE) value of do beside the one-step one, within the "
           "outcome's bounds where outcomes are rare; some ten passes over the scored "
           "users. With --resume it is added to a finished run."));
  flags.push_back(
      {.name = "batch",
       .default_text = "auto",
       .help =
           "Journeys of a global batch; auto: 1,024, fewer for a small log, more for a large."});
  flags.push_back({.name = "epochs",
                   .default_text = "auto",
                   .help = "Passes over the training users; auto: about 1,200 steps, at most 20."});
  flags.push_back(integer("seed", "1", "Seed of start values and order.", 0, 1e15));
  flags.push_back(
      real("holdout", "0.2",
           "Share of users kept from every fit and used for all estimates; 0: in-sample.", 0, 0.9));
  flags.push_back(integer("folds", "1",
                          "Fits by user hash, each user scored by the one made without them, "
                          "instead of a hold-out; 1: one fit.",
                          1, 100));
  flags.push_back(integer("bootstrap-fits", "0",
                          "Replicates of a bootstrap of users that fits every nuisance again: an "
                          "error of each effect with the fit's in it, of do in sequence logs the "
                          "only one. 100 are a good number; each takes the time of the main fit. "
                          "With --resume a larger number adds replicates; 0: none.",
                          0, 10000));
  flags.push_back(real("validation", "0.05",
                       "Share of the training users that early stopping watches.", 0, 0.5));
  flags.push_back(real("learning-rate", "0.003", "Peak rate of the dense parameters.", 0, 10));
  flags.push_back(integer("warmup-steps", "50", "Steps of linear warm-up.", 0));
  flags.push_back(real("weight-decay", "0.001", "Decoupled decay of the weight matrices.", 0, 10));
  flags.push_back(real("row-learning-rate", "0.02", "Peak rate of embedding rows.", 0, 10));
  flags.push_back(real("clip-norm", "10", "Largest norm of a gradient; 0: no clipping.", 0, 1e9));
  flags.push_back(integer("refit-epochs", "3", "Passes of the second stage's final fit.", 0));
  flags.push_back(real("refit-learning-rate", "0.002", "Its peak rate.", 0, 10));
  flags.push_back({.name = "critic",
                   .default_text = "on",
                   .help = "Sequence logs with a binary outcome: check Lambda, which the second "
                           "stage gives, by the weights of a contrastive critic.",
                   .choices = {"on", "off"}});
  flags.push_back(integer("critic-top-k", "0",
                          "Journeys of the largest weights that count in the critic's Lambda; 0: "
                          "all of the group.",
                          0));
  flags.push_back(integer("patience", "3", "Validations without gain before stopping.", 1));
  flags.push_back(real("temperature", "0.07", "Proxy mode: of the matching score.", 1e-3, 100));
  flags.push_back(real("adversary-warmup", "0",
                       "Proxy mode: share of the steps before the reversal begins to grow.", 0, 1));
  flags.push_back(integer("discriminator-steps", "1",
                          "Proxy mode: steps of the discriminator in a step of the model.", 1,
                          100));
  flags.push_back(
      flag("pcgrad",
           "Free the outcome's and the mediator's gradients of the encoders of what in each works "
           "against the other; takes twice the time."));
  flags.push_back({.name = "controls",
                   .default_text = "none",
                   .help = "Negative controls once the estimates are made, with commas between, or "
                           "all: shuffled_mediator, shuffled_treatment, future_touches; in proxy "
                           "mode dropped_proxy, adversary_weight. Each takes about as long as the "
                           "main fit, in proxy mode as two or three; --resume adds them to a "
                           "finished run."});
  flags.push_back(flag("deterministic",
                       "Bit-identical parameters for any number of ranks and threads; slower."));
  flags.push_back(flag("no-graph",
                       "On a GPU, launch every kernel of a step by itself instead of all in one "
                       "go, of several ranks all between two sums; the same result, for finding "
                       "faults."));
  flags.push_back(
      flag("resume", "Go on from the newest good checkpoint of --out, if there is one."));
  flags.push_back({.name = "init", .help = "A run whose parameters the main fit starts from."});
  flags.push_back({.name = "timeline",
                   .help =
                       "A file to write when the first steps are done: what every rank, and its "
                       "GPU, did when, as ui.perfetto.dev shows it."});
  flags.push_back(integer("timeline-steps", "300",
                          "Steps of the first fit that --timeline shows, from where it begins.", 1,
                          100000));
  flags.push_back(integer("report-every", "50", "Steps between lines of metrics.jsonl.", 1));
  flags.push_back(integer("checkpoint-every", "0",
                          "Steps between checkpoints; 0: after each fit and when stopped.", 0));
  flags.push_back(real("max-minutes", "0", "Stop early with a checkpoint; 0: no limit.", 0, 1e6));
  for (const SizeFlag& size : kSizeFlags) {
    const std::string_view name = size.name;
    const bool width = name.ends_with("width") || name.ends_with("hidden");
    flags.push_back(integer(size.name, "0",
                            (std::string(size.help) + " 0: as --model says.").c_str(), 0,
                            width ? kWidest : 1e9));
  }
  for (const WeightFlag& weight : kWeightFlags) {
    flags.push_back(real(weight.name, "-1",
                         (std::string(weight.help) + " -1: as --model says.").c_str(), -1, 1e6));
  }
  const std::vector<OptionSpec> device =
      device_flags({"auto", "cpu", "cuda"},
                   "Where training steps are taken, but those of the critic and, with "
                   "--deterministic, of the second stage; auto: on a GPU where one "
                   "can be used, else, like all other work, on the CPU.");
  flags.insert(flags.end(), device.begin(), device.end());
  flags.push_back(precision_flag());
  return flags;
}

TrainOptions train_options(const Options& options) {
  TrainOptions result;
  result.batch = count_or_auto(options, "batch");
  if (result.batch > 0) micro_block_rows(result.batch);
  result.epochs = count_or_auto(options, "epochs");
  result.seed = static_cast<uint64_t>(options.integer("seed"));
  result.holdout = options.real("holdout");
  result.folds = options.integer("folds");
  result.bootstrap_fits = options.integer("bootstrap-fits");
  result.validation = options.real("validation");
  result.learning_rate = options.real("learning-rate");
  result.warmup_steps = options.integer("warmup-steps");
  result.weight_decay = options.real("weight-decay");
  result.row_learning_rate = options.real("row-learning-rate");
  result.clip_norm = options.real("clip-norm");
  result.refit_epochs = options.integer("refit-epochs");
  result.refit_learning_rate = options.real("refit-learning-rate");
  result.patience = options.integer("patience");
  result.deterministic = options.flag("deterministic");
  result.graph = !options.flag("no-graph");
  result.tabular = options.text("nuisance") == "tabular";
  result.tmle = options.flag("tmle");
  result.timeline = options.text("timeline");
  result.timeline_steps = options.integer("timeline-steps");
  result.report_every = options.integer("report-every");
  result.checkpoint_every = options.integer("checkpoint-every");
  result.max_minutes = options.real("max-minutes");
  result.resume = options.flag("resume");
  result.pcgrad = options.flag("pcgrad");
  result.adversary_warmup = options.real("adversary-warmup");
  result.discriminator_steps = options.integer("discriminator-steps");
  result.model = model_options_by_name(options.text("model"));
  result.model.temperature = options.real("temperature");
  result.model.critic = options.text("critic") == "on";
  result.model.critic_top_k = options.integer("critic-top-k");
  if (options.text("mediator") == "proxy") result.model.mediator = MediatorMode::proxy;
  if (options.text("proxy-input") == "clean") result.model.proxy_input = ProxyInput::clean;
  if (options.text("proxy-input") == "all") result.model.proxy_input = ProxyInput::all;
  if (options.text("outcome-head") == "general") {
    result.model.outcome_head = OutcomeHead::general;
  }
  result.controls = controls_by_name(options.text("controls"), result.model.proxy_mode());
  for (const SizeFlag& size : kSizeFlags) {
    if (options.integer(size.name) > 0) result.model.*size.member = options.integer(size.name);
  }
  for (const WeightFlag& weight : kWeightFlags) {
    if (options.real(weight.name) >= 0) result.model.*weight.member = options.real(weight.name);
  }
  check_together(options, result);
  return result;
}

Precision precision_on_gpu(const Options& options, const TrainOptions& resolved) {
  return chosen_precision(options, resolved.model.proxy_mode() ? Precision::fp32 : Precision::bf16);
}

Products products_on_gpu(const TrainOptions& resolved) {
  return resolved.deterministic || resolved.model.proxy_mode() ? Products::own : Products::fastest;
}

}  // namespace alm
