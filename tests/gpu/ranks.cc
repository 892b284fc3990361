// The real NCCL under mpirun: it is found, and starts with a GPU a rank (alm doctor then sums over
// them). Where there are too few GPUs for that, it says in one line why not; where there are
// enough, that is an error.
#include <cstdio>
#include <set>

#include "engine/comm/device_communicator.h"
#include "kernels/gpu.h"

namespace {

// COLLECTIVE. Whether each rank, all of one host, has a GPU of its own.
bool enough(alm::Communicator& world, const alm::Gpu& mine) {
  const std::string address = mine.obstacle.empty() ? mine.address : "";
  const std::vector<std::string> all = world.all_gather_strings(address, "GPUs");
  const std::set<std::string> different(all.begin(), all.end());
  return different.size() == all.size() && different.count("") == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto world = alm::make_world_communicator(&argc, &argv);
  std::string said;
  // Without a GPU to take NCCL meets that itself.
  const int64_t local_rank = world->local_rank();
  const alm::Gpu gpu = alm::find_gpu(local_rank);
  const bool must_start = enough(*world, gpu);
  try {
    const auto device = gpu.obstacle.empty() ? alm::make_gpu_device(local_rank) : nullptr;
    said = alm::make_gpu_communicator(*world, {.start = 60, .reduction = 60})->name();
  } catch (const alm::MachineError& error) {
    said = (must_start ? "" : "too few GPUs: ") + std::string(error.what());
  }
  if (world->rank() == 0) std::printf("%s\n", said.c_str());
  world->barrier("end");
}
