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

// COLLECTIVE. The GPU, or null for the CPU, by --device; says which and why.
std::unique_ptr<Device> chosen_gpu(const Options& options, const std::string& not_yet,
                                   Communicator& world);

}  // namespace alm
