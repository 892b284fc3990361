#include "engine/comm/launcher.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "kernels/base/check.h"

namespace alm {
namespace {

std::optional<int64_t> number_in_environment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text < '0' || *text > '9') return std::nullopt;
  return std::strtoll(text, nullptr, 10);  // "4(x2)" of Slurm: ranks per node, the leading number
}

}  // namespace

std::optional<LauncherWorld> launcher_world() {
  if (const auto size = number_in_environment("OMPI_COMM_WORLD_SIZE")) {
    // First: under mpirun inside a Slurm job the Slurm variables describe mpirun's own daemons.
    return LauncherWorld{*size, "OMPI_COMM_WORLD_SIZE"};
  }
  // Only inside a step (srun): a batch script has SLURM_NTASKS too, but runs one process.
  if (std::getenv("SLURM_STEP_ID") != nullptr) {
    for (const char* name : {"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"}) {
      if (const auto size = number_in_environment(name)) return LauncherWorld{*size, name};
    }
  }
  if (const auto size = number_in_environment("PMI_SIZE")) return LauncherWorld{*size, "PMI_SIZE"};
  return std::nullopt;
}

bool under_launcher() {
  if (launcher_world()) return true;
  static constexpr const char* kPrefixes[] = {"OMPI_COMM_WORLD_", "PMIX_",     "PMI_",     "PALS_",
                                              "ALPS_APP_",        "MPI_LOCAL", "FLUX_TASK"};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    for (const char* prefix : kPrefixes) {
      if (std::strncmp(*entry, prefix, std::strlen(prefix)) == 0) return true;
    }
  }
  return false;
}

int64_t launcher_local_size() {
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_SIZE", "SLURM_STEP_TASKS_PER_NODE"}) {
    if (const auto size = number_in_environment(name)) return *size;
  }
  return 0;
}

void check_world_size(const std::optional<LauncherWorld>& launcher, int64_t size) {
  if (!launcher || launcher->size == size) return;
  throw UserError(format(
      "%s says %lld processes but this program sees a world of %lld: with Slurm start it by "
      "`srun --mpi=pmix`, with mpirun use the mpirun of the MPI it was built with (alm --version)",
      launcher->variable.c_str(), static_cast<long long>(launcher->size),
      static_cast<long long>(size)));
}

}  // namespace alm
