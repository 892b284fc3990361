// Training on GPUs of several ranks, on the doubles of CUDA and NCCL: the loss curve is that of the
// CPU, weights are equal on all ranks, and exact steps give those of one rank alone, bit for bit. A
// plain program, run under mpirun.
//
// usage: tests_simt_ranks curve|exact
#include <cmath>
#include <cstdio>
#include <string>

#include "kernels/base/text.h"
#include "kernels/cuda/queue.h"
#include "tests/engine/train/device_training.h"
#include "tests/simt/host_guard.h"
#include "tests/simt/rank_check.h"
#include "tests/simt/runtime.h"

namespace alm {
namespace {

// Many of them, the last shorter.
constexpr int64_t kBucket = 1000;
constexpr Patience kPatience{.start = 60, .reduction = 30};

// From some starts (5 is one, at step 40) something stands within rounding of a kink, a ReLU or a
// clamp: then sums in another order take one of two ways, whose losses differ by .2 % ten steps
// later. 2 and 3 ranks took the CPU's way there, 1 and 4 the other.
ModelWeights start(const DeviceTraining& training) {
  return training.model().fresh_weights(7);
}

// Losses, norms and weights of some steps of this rank's part on its device.
struct Trained {
  std::vector<Losses> losses;
  std::vector<double> norms;
  std::string digest;  // of the weights
};
Trained trained_on_device(const TrainingCase& of, Communicator& world, DeviceCommunicator& gpus,
                          int64_t steps, bool deterministic) {
  DeviceTraining training(of, &world);
  ModelWeights weights = start(training);
  const std::unique_ptr<StepState> state =
      training.state(weights, nullptr, {.deterministic = deterministic});
  const std::unique_ptr<Device> device = cuda::make_cuda_device();
  DeviceStep on_device(training.model(), *device, gpus, true);
  on_device.upload(weights, state->optimizer);
  Trained trained;
  for (int64_t step = 1; step <= steps; ++step) {
    state->clip_norm = step % 2 == 0 ? 0.02 : 0;
    state->reversal = 0.02f * static_cast<float>(step);
    const StepResult result = training.take(on_device, *state, step);
    expect(!result.skipped, world, "step " + std::to_string(step) + " was skipped");
    trained.losses.push_back(result.losses);
    trained.norms.push_back(result.gradient_norm);
  }
  on_device.download(weights, state->optimizer);
  trained.digest = weights_digest(training.model(), weights);
  world.barrier("trained");
  return trained;
}

std::vector<Losses> trained_on_cpu(const TrainingCase& of, int64_t steps) {
  DeviceTraining training(of);
  ModelWeights weights = start(training);
  const std::unique_ptr<StepState> state = training.state(weights);
  std::vector<Losses> losses;
  for (int64_t step = 1; step <= steps; ++step) {
    state->clip_norm = step % 2 == 0 ? 0.02 : 0;
    state->reversal = 0.02f * static_cast<float>(step);
    losses.push_back(
        train_step(*state, training.batch(step), step, DeviceTraining::settings(), false).losses);
  }
  return losses;
}

void expect_equal_on_ranks(Communicator& world, const std::string& digest) {
  for (const std::string& other : world.all_gather_strings(digest, "digests")) {
    expect(other == digest, world, "weights differ between ranks: " + other + " and " + digest);
  }
}

void check_curve(Communicator& world, DeviceCommunicator& gpus, const TrainingCase& of,
                 int64_t steps) {
  const Trained found = trained_on_device(of, world, gpus, steps, false);
  expect_equal_on_ranks(world, found.digest);
  const std::vector<Losses> wanted = trained_on_cpu(of, steps);
  double largest_miss = 0;
  for (size_t step = 0; step < wanted.size(); ++step) {
    const Losses& is = found.losses[step];
    const Losses& should = wanted[step];
    expect(is.weight == should.weight, world, "journeys of step " + std::to_string(step + 1));
    for (const auto part :
         {&Losses::mediator, &Losses::outcome, &Losses::second_stage, &Losses::law, &Losses::proxy,
          &Losses::adversary, &Losses::entropy_floor, &Losses::contrastive}) {
      if (is.*part == should.*part) continue;  // of the other mode: 0
      largest_miss = std::max(largest_miss, std::fabs(is.*part / should.*part - 1));
    }
  }
  expect(largest_miss <= 1e-4, world,
         "losses miss those of the CPU by " + std::to_string(largest_miss));
  if (world.rank() == 0) {
    std::printf("%s%s, %lld steps, %lld ranks: largest relative miss of a loss %.2e\n",
                of.shape.c_str(), of.head == Head::proxy ? ", proxy" : "",
                static_cast<long long>(steps), static_cast<long long>(world.size()), largest_miss);
  }
}

// All that must be the same, in words.
std::string words_of(const Trained& trained) {
  std::string words = trained.digest;
  for (size_t step = 0; step < trained.losses.size(); ++step) {
    words += format(" %.17g %.17g", trained.losses[step].watched(), trained.norms[step]);
  }
  return words;
}

void check_exact(Communicator& world, DeviceCommunicator& gpus, const TrainingCase& of,
                 int64_t steps) {
  std::string wanted;
  if (world.rank() == 0) {
    const std::unique_ptr<Communicator> alone = make_self_communicator();
    const std::unique_ptr<DeviceCommunicator> gpu_alone = make_self_device_communicator();
    wanted = words_of(trained_on_device(of, *alone, *gpu_alone, steps, true));
  }
  wanted = world.broadcast_string(wanted, 0, "weights of one rank");
  const std::string found = words_of(trained_on_device(of, world, gpus, steps, true));
  expect(found == wanted, world, "not as alone, but " + found + " in place of " + wanted);
  if (world.rank() == 0) {
    std::printf("%s%s, %lld steps, %lld ranks: weights, losses, norms %s\n", of.shape.c_str(),
                of.head == Head::proxy ? ", proxy" : "", static_cast<long long>(steps),
                static_cast<long long>(world.size()), found.c_str());
  }
}

void run(Communicator& world, bool exact) {
  const simt::HostGuard guard;
  gradient_bucket = kBucket;
  const std::unique_ptr<DeviceCommunicator> gpus = make_gpu_communicator(world, kPatience);
  // Each rank's streams in an order of their own.
  simt::set_stream_schedule(static_cast<uint64_t>(1 + world.rank()));
  if (exact) {
    check_exact(world, *gpus, {"tiny", 32}, 2);
    if (all_failures(world) == 0) check_exact(world, *gpus, {"reference", 16}, 2);
    if (all_failures(world) == 0) check_exact(world, *gpus, {"tiny", 32, Head::proxy}, 2);
  } else {
    check_curve(world, *gpus, {"reference", 16}, 4);
    if (all_failures(world) == 0) check_curve(world, *gpus, {"tiny", 64, Head::proxy}, 4);
    if (all_failures(world) == 0) check_curve(world, *gpus, {"tiny", 32}, 50);
  }
}

}  // namespace
}  // namespace alm

int main(int argc, char** argv) {
  const auto world = alm::make_world_communicator(&argc, &argv);
  try {
    alm::run(*world, argc > 1 && std::string(argv[1]) == "exact");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %lld: %s\n", static_cast<long long>(world->rank()), error.what());
    world->abort(1);
  }
  return alm::all_failures(*world) == 0 ? 0 : 1;
}
