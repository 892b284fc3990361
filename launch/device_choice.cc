#include "launch/device_choice.h"

#include "kernels/base/log.h"

namespace alm {

DeviceChoice choose_device(const std::string& asked, const Gpu& found, const std::string& not_yet) {
  if (asked == "cpu") return {false, "--device cpu"};
  std::string obstacle = found.obstacle;
  if (obstacle.empty() && !not_yet.empty()) obstacle = not_yet + ", which no GPU computes yet";
  if (asked == "cuda") {
    if (!obstacle.empty()) throw UserError("--device cuda: " + obstacle + "; or use --device cpu");
    return {true, "--device cuda"};
  }
  if (obstacle.empty()) return {true, "a GPU was found; --device cpu does without"};
  return {false, found.built_in ? obstacle : ""};
}

std::unique_ptr<Device> chosen_gpu(const Options& options, const std::string& not_yet,
                                   Communicator& world) {
  std::unique_ptr<Device> device;
  world.together("the GPU", [&] {
    const std::string& asked = options.text("device");
    // A driver is not asked where nothing hangs on its answer: that can last.
    const bool matters = asked == "cuda" || (asked == "auto" && not_yet.empty());
    const DeviceChoice choice = choose_device(asked, matters ? find_gpu() : Gpu{}, not_yet);
    if (choice.gpu) device = make_gpu_device();
    if (choice.why.empty()) return;
    log_info("training on " + (device ? device->describe() : "the CPU") + ": " + choice.why);
  });
  return device;
}

}  // namespace alm
