// What the launcher (mpirun, srun) says about the world, read from the environment.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace alm {

// Processes this one was started with, by the launcher's own word; nullopt when no launcher speaks.
// Read before MPI starts: MPI_Init sets such variables itself.
struct LauncherWorld {
  int64_t size = 0;
  std::string variable;  // whence
};
std::optional<LauncherWorld> launcher_world();

// True when any known launcher started this process, even one that does not tell the size.
bool under_launcher();

// Ranks the launcher put on this host; 0 when it does not say.
int64_t launcher_local_size();

// UserError with advice unless the world has the size the launcher says.
void check_world_size(const std::optional<LauncherWorld>& launcher, int64_t size);

}  // namespace alm
