// Where a command computes: --device.
#pragma once

#include <memory>
#include <string>

#include "engine/comm/communicator.h"
#include "kernels/gpu.h"
#include "launch/options.h"

namespace alm {

struct DeviceChoice {
  bool gpu = false;
  std::string why;  // one line for a person; empty: nothing worth saying
};
// asked: auto, cpu or cuda. `not_yet`: what of the work has no code for a GPU, as a part of a
// sentence; empty: all has. UserError when cuda is asked for and cannot be.
DeviceChoice choose_device(const std::string& asked, const Gpu& found, const std::string& not_yet);

// The GPU of this rank's number on its host; an error in asking is an obstacle.
Gpu gpu_of_rank(Communicator& world);
// COLLECTIVE. What all ranks make of what each found: usable when every rank has a GPU of its own,
// else the obstacle of the first rank that has none, or who shares one.
Gpu usable_by_all(const Gpu& mine, Communicator& world);

// COLLECTIVE. This rank's GPU, or null for the CPU, by --device, alike on all ranks; says which and
// why.
std::unique_ptr<Device> chosen_gpu(const Options& options, const std::string& not_yet,
                                   Precision precision, Products products, Communicator& world);

}  // namespace alm
