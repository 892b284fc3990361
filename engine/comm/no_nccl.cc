// What a build without NCCL says of several ranks on GPUs.
#include "engine/comm/device_communicator.h"
#include "engine/comm/versions.h"

namespace alm {

std::string gpu_communicator_obstacle() {
  return "this program was built without NCCL (build it where nccl.h is)";
}

std::unique_ptr<DeviceCommunicator> make_gpu_communicator(Communicator& world, Patience) {
  if (world.size() == 1) return make_self_device_communicator();
  throw UserError("several ranks on GPUs: " + gpu_communicator_obstacle());
}

std::string nccl_versions() {
  return "not built in";
}

}  // namespace alm
