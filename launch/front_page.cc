#include "launch/front_page.h"

#include "engine/comm/versions.h"
#include "io/versions.h"
#include "kernels/base/text.h"
#include "kernels/cpu/gemm.h"
#include "kernels/gpu_versions.h"

namespace alm {
namespace {

std::string version_line(const std::string& library, const std::string& version) {
  return format("  %-14s %s\n", library.c_str(), version.c_str());
}

}  // namespace

std::string front_page() {
  std::string text =
      "alm: trains causal multi-touch attribution models and estimates what each touch was "
      "worth\n\n"
      "usage: alm SUBCOMMAND [options]\n"
      "       mpirun -n RANKS alm SUBCOMMAND [options]\n\n";
  for (const Command& command : all_commands()) {
    text += format("  %-12s %s\n", command.spec.name.c_str(), command.spec.summary.c_str());
  }
  return text +
         "\nalm SUBCOMMAND --help   its options\n"
         "alm --version           what it was built with, and what of that is found here\n"
         "\nExit codes: 0 done, 1 input or options are wrong, 2 a fault of the machine,\n"
         "75 stopped early with a good checkpoint (start the same command with --resume).\n";
}

std::string version_text(const std::string& communicator) {
  std::string text =
      "alm\n" + version_line("commit", ALM_COMMIT) + version_line("communicator", communicator) +
      version_line("MPI", mpi_version()) + version_line("matrix product", gemm_library()) +
      version_line("options", options_library());
  for (const auto& [library, version] : io::library_versions()) {
    text += version_line(library, version);
  }
  return text + version_line("CUDA", cuda_versions());
}

std::string gpu_version_text() {
  return version_line("CUDA driver", cuda_driver_version()) +
         version_line("cuBLASLt", cublaslt_versions()) + version_line("NCCL", nccl_versions());
}

Command find_command(const std::string& name) {
  std::vector<std::string> names;
  for (Command& command : all_commands()) {
    if (command.spec.name == name) return command;
    names.push_back(command.spec.name);
  }
  const std::string nearest = nearest_name(name, names);
  throw UserError(
      format("alm has no subcommand \"%s\"%s; see alm --help", name.c_str(),
             nearest.empty() ? "" : format(" (did you mean %s?)", nearest.c_str()).c_str()));
}

}  // namespace alm
