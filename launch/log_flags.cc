#include "launch/log_flags.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "io/file_key.h"
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

std::shared_ptr<const io::Log> open_log(const Options& options, Communicator& world) {
  io::LogOptions log_options;
  log_options.index_dir = options.text("index-dir");
  log_options.on_bad_row =
      options.text("on-bad-row") == "skip" ? io::OnBadRow::skip : io::OnBadRow::fail;
  log_options.max_touches = options.integer("max-touches");
  std::shared_ptr<const io::Log> log;
  world.together("opening the log",
                 [&] { log = io::Log::open(options.texts("log"), log_options); });
  for (const std::string& warning : log->warnings()) log_warning(warning);
  return log;
}

void check_output_file(const std::string& option, const std::string& path, bool text,
                       Communicator& world) {
  namespace fs = std::filesystem;
  world.together("output file", [&] {
    if (world.rank() != 0) return;
    const std::string named = "--" + option + " " + path;
    std::error_code error;
    if (path.empty()) throw UserError("--" + option + " is empty: name a file");
    if (fs::is_directory(path, error)) {
      throw UserError(named + ": is a directory; name a file in it");
    }
    fs::path parent = fs::path(path).parent_path();
    if (parent.empty()) parent = ".";
    fs::create_directories(parent, error);
    if (error) {
      throw UserError(named + ": its directory cannot be made: " + error.message());
    }
    if (text && io::has_hdf5_signature(path)) {
      throw UserError(named +
                      ": is an HDF5 file, perhaps a log, and would be replaced; name "
                      "another file");
    }
    // Under the name that the writers use until the file is whole.
    const std::string trial = path + ".tmp";
    const int file = ::open(trial.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) {
      throw UserError(named + ": cannot be written there: " + std::strerror(errno));
    }
    ::close(file);
    ::unlink(trial.c_str());
  });
}

std::vector<OptionSpec> device_flags(const std::vector<std::string>& devices,
                                     const std::string& help) {
  return {{.name = "device", .default_text = "auto", .help = help, .choices = devices},
          {.name = "simd",
           .default_text = "auto",
           .help = "Vector instructions of the CPU; auto: the highest that all ranks have.",
           .choices = {"auto", "scalar", "avx2", "avx512"}}};
}

std::vector<OptionSpec> cpu_flags() {
  std::vector<OptionSpec> flags = device_flags(
      {"auto", "cpu"}, "Where to compute: on CPUs, also what was trained on a GPU; auto is cpu.");
  flags[0].why_these =
      "this is computed on CPUs, also what was trained on a GPU; leave --device out here, and "
      "ALM_DEVICE unset";
  return flags;
}

OptionSpec precision_flag() {
  return {
      .name = "precision",
      .default_text = "auto",
      .help =
          "What matrix products of fits round their operands to, and what GPUs keep activations "
          "of touches in; sums are fp32. auto: fp32 on CPUs, bf16 on GPUs (fp32 with --mediator "
          "proxy). On a CPU bf16 needs avx512_bf16 or AMX.",
      .choices = {"auto", "fp32", "bf16"}};
}

Precision chosen_precision(const Options& options, Precision if_auto) {
  const std::string& asked = options.text("precision");
  if (asked == "auto") return if_auto;
  return asked == "bf16" ? Precision::bf16 : Precision::fp32;
}

std::unique_ptr<Compute> make_compute(const Options& options, Communicator& world,
                                      Precision precision) {
  std::string level = options.text("simd");
  if (level == "auto") {
    const std::vector<std::string> levels = cpu_simd_levels();
    int64_t highest = static_cast<int64_t>(levels.size()) - 1;
    world.all_reduce_min(std::span(&highest, 1), "SIMD level");
    level = levels[static_cast<size_t>(highest)];
  }
  std::unique_ptr<Device> device;
  world.together("the device", [&] { device = make_cpu_device(level, precision); });
  const std::vector<std::string> tables =
      world.all_gather_strings(device->ops().name, "tables of operations");
  const auto other = std::ranges::find_if(tables, [&](const auto& of) { return of != tables[0]; });
  if (other != tables.end()) {
    throw UserError(format(
        "--precision bf16: products of ranks differ (%s on rank 0, %s on rank %td): use hosts of "
        "one kind, or --precision fp32",
        tables[0].c_str(), other->c_str(), other - tables.begin()));
  }
  auto compute = std::make_unique<Compute>(std::move(device), threads_of_rank(options, world));
  log_info(format("%s; %lld rank%s of %lld thread%s, %s", compute->device().describe().c_str(),
                  static_cast<long long>(world.size()), world.size() == 1 ? "" : "s",
                  static_cast<long long>(compute->threads()), compute->threads() == 1 ? "" : "s",
                  world.name().c_str()));
  return compute;
}

}  // namespace alm
