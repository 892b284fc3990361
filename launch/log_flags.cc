#include "launch/log_flags.h"

#include <algorithm>

#include "kernels/base/log.h"
#include "kernels/base/text.h"
#include "launch/threads.h"

namespace alm {

std::vector<OptionSpec> log_flags() {
  return {{.name = "log",
           .help = "Log files, directories or globs.",
           .required = true,
           .several = true},
          {.name = "index-dir",
           .help = "Where the index files of the log go; default: beside each log file."},
          {.name = "on-bad-row",
           .default_text = "fail",
           .help = "A bad row ends the run, or is skipped and counted.",
           .choices = {"fail", "skip"}},
          {.name = "max-touches",
           .type = OptionType::integer,
           .default_text = "64",
           .help = "Longer journeys keep their latest touches.",
           .lowest = 1,
           .highest = 65536}};
}

std::shared_ptr<const io::Log> open_log(const Options& options) {
  io::LogOptions log_options;
  log_options.index_dir = options.text("index-dir");
  log_options.on_bad_row =
      options.text("on-bad-row") == "skip" ? io::OnBadRow::skip : io::OnBadRow::fail;
  log_options.max_touches = options.integer("max-touches");
  std::shared_ptr<const io::Log> log = io::Log::open(options.texts("log"), log_options);
  for (const std::string& warning : log->warnings()) log_warning(warning);
  return log;
}

std::vector<OptionSpec> device_flags() {
  return {{.name = "device",
           .default_text = "auto",
           .help = "Where to compute.",
           .choices = {"auto", "cpu"}},
          {.name = "simd",
           .default_text = "auto",
           .help = "Vector instructions of the CPU; auto: the highest that all ranks have.",
           .choices = {"auto", "scalar", "avx2", "avx512"}}};
}

std::unique_ptr<Compute> make_compute(const Options& options, Communicator& world) {
  std::string level = options.text("simd");
  if (level == "auto") {
    const std::vector<std::string> levels = cpu_simd_levels();
    int64_t highest = static_cast<int64_t>(levels.size()) - 1;
    world.all_reduce_min(std::span(&highest, 1), "SIMD level");
    level = levels[static_cast<size_t>(highest)];
  }
  auto compute = std::make_unique<Compute>(make_cpu_device(level), threads_of_rank(options, world));
  log_info(format("%s; %lld rank%s of %lld thread%s, %s", compute->device().describe().c_str(),
                  static_cast<long long>(world.size()), world.size() == 1 ? "" : "s",
                  static_cast<long long>(compute->threads()), compute->threads() == 1 ? "" : "s",
                  world.name().c_str()));
  return compute;
}

}  // namespace alm
