// The real NCCL under mpirun: it is found, and starts with a GPU a rank (alm doctor then sums over
// them); without, it says in one line why not.
#include <cstdio>

#include "engine/comm/device_communicator.h"
#include "kernels/gpu.h"

int main(int argc, char** argv) {
  const auto world = alm::make_world_communicator(&argc, &argv);
  std::string said;
  try {
    // Without a GPU to take NCCL meets that itself.
    const int64_t local_rank = world->local_rank();
    const bool has = alm::find_gpu(local_rank).obstacle.empty();
    const auto device = has ? alm::make_gpu_device(local_rank) : nullptr;
    said = alm::make_gpu_communicator(*world, {.start = 60, .reduction = 60})->name();
  } catch (const alm::MachineError& error) {
    said = error.what();
  }
  if (world->rank() == 0) std::printf("%s\n", said.c_str());
  world->barrier("end");
}
