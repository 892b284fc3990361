// Training on GPUs of several ranks, on the doubles of CUDA and NCCL: the loss curve is that of the
// CPU, weights are equal on all ranks, and exact steps give those of one rank alone, bit for bit.
// What goes over the wire is seen in a timeline. A plain program, run under mpirun.
//
// usage: tests_simt_ranks curve|exact
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>

#include "io/json.h"
#include "kernels/base/text.h"
#include "kernels/cuda/queue.h"
#include "tests/engine/train/device_training.h"
#include "tests/simt/host_guard.h"
#include "tests/simt/nccl_double.h"
#include "tests/simt/rank_check.h"
#include "tests/simt/runtime.h"

namespace alm {
namespace {

constexpr Patience kPatience{.start = 60, .reduction = 30};

// From some starts (5 is one, at step 40) something stands within rounding of a kink, a ReLU or a
// clamp: then sums in another order take one of two ways, whose losses differ by .2 % ten steps
// later. 2 and 3 ranks took the CPU's way there, 1 and 4 the other.
ModelWeights start(const DeviceTraining& training) {
  return training.model().fresh_weights(7);
}

// Steps in which every batch is met by both slots: then as often until its graphs are recorded.
constexpr int64_t kSettled = 12;

// Losses, norms and weights of some steps of this rank's part on its device.
struct Trained {
  std::vector<Losses> losses;
  std::vector<double> norms;
  std::string digest;        // of the weights
  simt::RuntimeCalls calls;  // in the steps after kSettled
};
struct How {
  bool deterministic = false;
  bool graphs = true;
  bool refit = false;  // steps of the second stage
  bool idle = false;   // the last rank of several has no journeys
  Timeline* timeline = nullptr;
};
Trained trained_on_device(const TrainingCase& of, Communicator& world, DeviceCommunicator& gpus,
                          int64_t steps, const How& how) {
  Timeline* const timeline = how.timeline;
  DeviceTraining training(of, &world);
  ModelWeights weights = start(training);
  const std::unique_ptr<StepState> state =
      training.state(weights, nullptr, {.deterministic = how.deterministic});
  state->phases.timeline = timeline;
  state->refit = how.refit;
  const std::unique_ptr<Device> device = cuda::make_cuda_device();
  DeviceStep on_device(training.model(), *device, gpus, how.graphs);
  on_device.upload(weights, state->optimizer);
  Trained trained;
  for (int64_t step = 1; step <= steps; ++step) {
    state->clip_norm = step % 2 == 0 ? 0.02 : 0;
    state->reversal = 0.02f * static_cast<float>(step);
    const bool idle = how.idle && world.size() > 1 && world.rank() == world.size() - 1;
    const std::span<const io::Journeys> none;
    on_device.begin(*state, idle ? none : training.batch(step), step, DeviceTraining::settings());
    const StepResult result = on_device.result(*state);
    expect(!result.skipped, world, "step " + std::to_string(step) + " was skipped");
    trained.losses.push_back(result.losses);
    trained.norms.push_back(result.gradient_norm);
    if (timeline != nullptr) timeline->end_step();
    if (step == kSettled) simt::runtime_calls() = {};
  }
  trained.calls = simt::runtime_calls();
  const bool several = world.size() > 1;
  expect((state->phases.seconds(Phase::reduce) > 0) == several, world,
         "seconds of sums over ranks");
  expect(simt::nccl_memory().registered == several, world, "the gradient is not registered");
  on_device.download(weights, state->optimizer);
  trained.digest = weights_digest(training.model(), weights);
  world.barrier("trained");
  return trained;
}

std::vector<Losses> trained_on_cpu(const TrainingCase& of, int64_t steps, bool refit = false) {
  DeviceTraining training(of);
  ModelWeights weights = start(training);
  const std::unique_ptr<StepState> state = training.state(weights);
  state->refit = refit;
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

// What the timeline says of steps on several ranks: sums over them in one order, each after what it
// sums, and some while the backward pass was under way.
void check_timeline(Communicator& world, const std::string& path, int64_t steps) {
  struct Span {
    double begin, end;
    std::string name;
  };
  using Names = std::vector<std::string>;
  const Names sums = {"dense gradient", "dense gradient", "last gradients, losses"};
  const Names parts = {"forward and backward", "sums over ranks", "update"};
  const io::Json timeline = io::read_json(path);
  int64_t early = 0;
  for (int64_t rank = 0; rank < world.size(); ++rank) {
    for (int64_t step = 1; step <= steps; ++step) {
      std::map<int, std::vector<Span>> lanes;
      for (const io::Json& event : timeline["traceEvents"]) {
        if (event["ph"] != "X" || event["pid"] != rank || event["args"]["step"] != step) continue;
        const double begin = event["ts"].get<double>();
        lanes[event["tid"].get<int>()].push_back(
            {begin, begin + event["dur"].get<double>(), event["name"].get<std::string>()});
      }
      const auto names_of = [&](Lane lane) {
        std::vector<Span>& spans = lanes[static_cast<int>(lane)];
        std::ranges::stable_sort(spans, {}, &Span::begin);
        Names names;
        for (const Span& span : spans) names.push_back(span.name);
        return names;
      };
      expect(names_of(Lane::gpu) == parts, world, "parts of a step");
      expect(names_of(Lane::gpu_sums) == sums, world, "order of sums");
      expect(names_of(Lane::gpu_copies) == Names{"copy"}, world, "copies");
      const Span& backward = lanes[static_cast<int>(Lane::gpu)].front();
      early += lanes[static_cast<int>(Lane::gpu_sums)].front().begin < backward.end;
    }
  }
  expect(early > 0, world, "no sum began before the backward pass had ended");
  std::printf("%lld of %lld steps began to sum before the backward pass had ended\n",
              static_cast<long long>(early), static_cast<long long>(world.size() * steps));
}

const char* name_of(Head head) {
  return head == Head::proxy ? ", proxy" : head == Head::general ? ", general" : "";
}

void check_curve(Communicator& world, DeviceCommunicator& gpus, const TrainingCase& of,
                 int64_t steps) {
  const std::string path = std::filesystem::temp_directory_path() /
                           format("alm_ranks_test_%d.json", static_cast<int>(getpid()));
  Timeline timeline(path, steps, world);
  const Trained found = trained_on_device(of, world, gpus, steps, {.timeline = &timeline});
  expect_equal_on_ranks(world, found.digest);
  if (world.rank() == 0 && world.size() > 1) check_timeline(world, path, steps);
  if (world.rank() == 0) std::filesystem::remove(path);
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
                of.shape.c_str(), name_of(of.head), static_cast<long long>(steps),
                static_cast<long long>(world.size()), largest_miss);
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
    wanted = words_of(trained_on_device(of, *alone, *gpu_alone, steps, {.deterministic = true}));
  }
  wanted = world.broadcast_string(wanted, 0, "weights of one rank");
  const std::string found =
      words_of(trained_on_device(of, world, gpus, steps, {.deterministic = true}));
  expect(found == wanted, world, "not as alone, but " + found + " in place of " + wanted);
  if (world.rank() == 0) {
    std::printf("%s%s, %lld steps, %lld ranks: weights, losses, norms %s\n", of.shape.c_str(),
                name_of(of.head), static_cast<long long>(steps),
                static_cast<long long>(world.size()), found.c_str());
  }
}

// Graphs between the sums give the bits of single launches, and once all batches have theirs a step
// records, allocates and waits for nothing.
void check_graphs(Communicator& world, DeviceCommunicator& gpus) {
  constexpr int64_t kMore = 4;
  const int64_t parts = world.size() > 1 ? 4 : 1;  // two cuts of the gradient, the rest, the update
  const TrainingCase of{"tiny", 32};
  const Trained found = trained_on_device(of, world, gpus, kSettled + kMore, {});
  const Trained singly = trained_on_device(of, world, gpus, kSettled + kMore, {.graphs = false});
  expect(found.digest == singly.digest, world, "graphs change the weights");
  const Trained mixed =
      trained_on_device(of, world, gpus, kSettled + kMore, {.graphs = world.rank() % 2 == 0});
  expect(mixed.digest == found.digest, world, "ranks with and without graphs do not meet");
  expect(singly.calls.graph_launches == 0, world, "a graph was launched that nobody wanted");
  expect(found.calls.graph_launches == kMore * parts, world,
         format("%lld graphs were launched in %lld steps",
                static_cast<long long>(found.calls.graph_launches), static_cast<long long>(kMore)));
  expect(found.calls.graphs == 0 && found.calls.allocations == 0 &&
             found.calls.pageable_copies == 0 &&
             found.calls.waits == (world.size() > 1 ? 0 : kMore),
         world, "a settled step records, allocates, or waits for more than the step before");
}

// Steps of the second stage have the losses of the CPU, and graphs change no bit.
void check_refit(Communicator& world, DeviceCommunicator& gpus) {
  constexpr int64_t kSteps = 12;
  const TrainingCase of{"reference", 32};
  const Trained found = trained_on_device(of, world, gpus, kSteps, {.refit = true});
  const Trained singly =
      trained_on_device(of, world, gpus, kSteps, {.graphs = false, .refit = true});
  expect_equal_on_ranks(world, found.digest);
  expect(found.digest == singly.digest, world, "graphs change what the second stage learns");
  const std::vector<Losses> wanted = trained_on_cpu(of, kSteps, true);
  double largest_miss = 0;
  for (size_t step = 0; step < wanted.size(); ++step) {
    const Losses& is = found.losses[step];
    const Losses& should = wanted[step];
    expect(is.weight == should.weight, world, "journeys of step " + std::to_string(step + 1));
    for (const auto part : {&Losses::second_stage, &Losses::propensity}) {
      largest_miss = std::max(largest_miss, std::fabs(is.*part / should.*part - 1));
    }
  }
  expect(largest_miss <= 1e-4, world,
         "losses of the second stage miss those of the CPU by " + std::to_string(largest_miss));
  if (world.rank() == 0) {
    std::printf("second stage, %lld steps, %lld ranks: largest relative miss of a loss %.2e\n",
                static_cast<long long>(kSteps), static_cast<long long>(world.size()), largest_miss);
  }
}

// A rank without journeys sends what the others send, and moves its weights with them.
void check_idle_rank(Communicator& world, DeviceCommunicator& gpus) {
  for (const bool refit : {false, true}) {
    const Trained found =
        trained_on_device({"reference", 32}, world, gpus, 6, {.refit = refit, .idle = true});
    expect_equal_on_ranks(world, found.digest);
  }
}

// Once the step has ended.
void check_memory(Communicator& world) {
  const simt::NcclMemory memory = simt::nccl_memory();
  expect(memory.registered == 0 && memory.mistakes == 0, world, "memory is still registered");
  expect((memory.sums > 0) == (world.size() > 1), world, "no sum is of registered memory");
}

void run(Communicator& world, bool exact) {
  const simt::HostGuard guard;
  const std::unique_ptr<DeviceCommunicator> gpus = make_gpu_communicator(world, kPatience);
  // Each rank's streams in an order of their own.
  simt::set_stream_schedule(static_cast<uint64_t>(1 + world.rank()));
  if (exact) {
    check_exact(world, *gpus, {"tiny", 32}, 2);
    if (all_failures(world) == 0) check_exact(world, *gpus, {"reference", 16}, 2);
    if (world.size() == 3 && all_failures(world) == 0) {  // one number of ranks is enough
      check_exact(world, *gpus, {"tiny", 32, Head::proxy}, 2);
      if (all_failures(world) == 0) check_exact(world, *gpus, {"tiny", 32, Head::general}, 2);
    }
  } else {
    check_curve(world, *gpus, {"reference", 16}, 4);
    check_memory(world);
    if (all_failures(world) == 0) check_graphs(world, *gpus);
    if (all_failures(world) == 0) check_refit(world, *gpus);
    if (all_failures(world) == 0) check_idle_rank(world, *gpus);
    if (all_failures(world) == 0) check_curve(world, *gpus, {"tiny", 64, Head::proxy}, 4);
    if (all_failures(world) == 0) check_curve(world, *gpus, {"tiny", 32, Head::general}, 4);
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
