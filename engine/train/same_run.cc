#include "engine/train/same_run.h"

#include <iterator>

#include "engine/train/run_checkpoint.h"
#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

// Which --model gives the option this value, in words; empty where all do or none does.
std::string model_with(const std::string& option, const io::Json& value) {
  std::vector<std::string> with;
  constexpr const char* kModels[] = {"tiny", "reference", "paper"};
  for (const char* const model : kModels) {
    TrainOptions named;
    named.model = model_options_by_name(model);
    if (run_options(named).value(option, io::Json()) == value) with.push_back(model);
  }
  if (with.empty() || with.size() == std::size(kModels)) return "";
  return ", as --model " + with.front() + (with.size() > 1 ? " or " + with.back() : "") +
         " has it,";
}

}  // namespace

io::Json options_that_matter(const TrainJob& job) {
  io::Json json = run_options(job.options);
  const bool gpu = job.accelerator != nullptr;
  const bool bf16 =
      gpu ? job.accelerator->activations() == Precision::bf16 : job.training != nullptr;
  json["precision"] = bf16 ? "bf16" : "fp32";
  // Devices and levels round differently, which only bit-identical parameters notice.
  if (job.options.deterministic) {
    json["simd"] = job.of_fits().ops().name;
    json["device"] = gpu ? "cuda" : "cpu";
  }
  return json;
}

void check_same_run(const TrainJob& job, const io::CheckpointBlobs& checkpoint) {
  const io::Json now = options_that_matter(job);
  const io::Json& then = checkpoint.header.at("options");
  // A checkpoint of a time before an option was made by what is now its default.
  io::Json fallback = run_options({});
  fallback["precision"] = "fp32";
  fallback["device"] = "cpu";
  for (const auto& [name, value] : now.items()) {
    const io::Json was = then.contains(name) ? then.at(name) : fallback.value(name, value);
    if (was == value) continue;
    throw UserError(
        format("--resume: --%s was %s%s in %s and is %s now: use the same value, or another --out",
               name.c_str(), io::json_text(was).c_str(), model_with(name, was).c_str(),
               job.run_dir.c_str(), io::json_text(value).c_str()));
  }
  const io::Json& bundle = checkpoint.header.at("bundle");
  const int64_t positions = bundle.at("positions").get<int64_t>();
  if (positions != job.log->options().max_touches) {
    throw UserError(
        format("--resume: --max-touches was %lld in %s and is %lld now: use the same value, or "
               "another --out",
               static_cast<long long>(positions), job.run_dir.c_str(),
               static_cast<long long>(job.log->options().max_touches)));
  }
  const std::string trained = bundle.at("log_manifest").get<std::string>();
  if (trained != job.log->manifest_hash()) {
    throw UserError(
        "--resume: " + job.run_dir +
        " was trained on another log (its files differ): use that log, or another --out");
  }
}

}  // namespace alm
