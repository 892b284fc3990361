#include "launch/device_choice.h"

#include <map>

#include "engine/comm/device_communicator.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"
#include "launch/log_flags.h"
#include "launch/threads.h"

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

Gpu usable_by_all(const Gpu& mine, Communicator& world) {
  const std::vector<std::string> obstacles = world.all_gather_strings(mine.obstacle, "GPUs");
  const std::vector<std::string> addresses = world.all_gather_strings(mine.address, "GPUs");
  const std::vector<RankPlace> places = places_of_ranks(world);
  Gpu of_all = mine;
  std::map<std::string, std::vector<size_t>> ranks_of_gpu;
  for (size_t rank = 0; rank < obstacles.size(); ++rank) {
    if (!obstacles[rank].empty()) {
      of_all.obstacle = obstacles[rank];
      if (rank > 0) of_all.obstacle += format(" (rank %zu on %s)", rank, places[rank].host.c_str());
      return of_all;
    }
    ranks_of_gpu[places[rank].host + ", " + addresses[rank]].push_back(rank);
  }
  for (const auto& [gpu, ranks] : ranks_of_gpu) {
    if (ranks.size() == 1) continue;
    of_all.obstacle = format(
        "ranks %zu and %zu are shown one GPU (%s), and each needs its own: start as many ranks a "
        "host as it has GPUs, and let CUDA_VISIBLE_DEVICES show all of them or each rank another",
        ranks[0], ranks[1], gpu.c_str());
    return of_all;
  }
  return of_all;
}

Gpu gpu_of_rank(Communicator& world) {
  try {
    return find_gpu(world.local_rank());
  } catch (const MachineError& error) {
    return {true, error.what(), ""};
  }
}

std::unique_ptr<Device> chosen_gpu(const Options& options, const std::string& not_yet,
                                   Precision precision, Products products, Communicator& world) {
  const std::string& asked = options.text("device");
  // A driver is not asked where nothing hangs on its answer: that can last.
  const bool matters = asked == "cuda" || (asked == "auto" && not_yet.empty());
  Gpu found;
  if (matters) {
    found = gpu_of_rank(world);
    if (world.size() > 1 && found.obstacle.empty()) found.obstacle = gpu_communicator_obstacle();
    found = usable_by_all(found, world);
  }
  std::unique_ptr<Device> device;
  std::string who;
  world.together("the GPU", [&] {
    const DeviceChoice choice = choose_device(asked, found, not_yet);
    if (choice.gpu) device = make_gpu_device(world.local_rank(), precision, products, &who);
    if (choice.why.empty()) return;
    log_info("training on " + (device ? device->describe() : "the CPU") + ": " + choice.why);
  });
  if (!who.empty()) log_info(who);
  const std::vector<std::string> all = world.all_gather_strings(who, "products of GPUs");
  for (size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] == all[0]) continue;
    log_warning(format("rank %zu: ", rank) + all[rank]);
    break;
  }
  return device;
}

}  // namespace alm
