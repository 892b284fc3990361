// The world of a build without MPI.
#include "engine/comm/communicator.h"
#include "engine/comm/launcher.h"
#include "engine/comm/versions.h"

namespace alm {

std::unique_ptr<Communicator> make_world_communicator(int*, char***) {
  const auto launcher = launcher_world();
  if (launcher && launcher->size > 1) {
    throw UserError(
        format("%s says %lld processes, but this program was built without MPI: run it "
               "alone, or build it where MPI is installed",
               launcher->variable.c_str(), static_cast<long long>(launcher->size)));
  }
  return make_self_communicator();
}

std::string mpi_version() {
  return "not built in";
}

}  // namespace alm
