// Training steps on devices, a GPU a rank. The step of many threads (step.h)
// keeps partial sums in the caches of each; here the whole batch goes through the model at once.
//
// A step waits for nothing (but that of --deterministic): the host makes and packs the inputs of a
// batch, copies them by a queue of their own while the device is still at the step before, and
// queues the rest, in one go where the device has graphs. The device itself decides by how much the
// weights move, and whether. What became of a step the host may ask while the next is under way.
// Weights, gradients, optimiser state and activations never leave the devices but for validation's
// best and for checkpoints.
//
// Of several ranks each takes its journeys through the model. Losses and gradients are summed over
// the devices by a queue of its own, a part as soon as the backward pass has made it; when all sums
// are there, all ranks move their weights alike. With --deterministic sums are exact
// (device_step_exact.cc), so that the weights do not depend on the number of ranks.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/comm/device_communicator.h"
#include "engine/train/device_batch.h"
#include "engine/train/device_times.h"
#include "engine/train/device_weights.h"
#include "engine/train/largest_batch.h"
#include "engine/train/memory_use.h"
#include "engine/train/step.h"
#include "engine/train/train_options.h"

namespace alm {

// What of a training has no step on a device that holds activations so yet, as a reason for a
// person; empty: all has.
std::string not_yet_on_device(const TrainOptions& options, Precision activations);

// What of a training takes the steps of its second stage on the host none the less, likewise.
std::string refit_not_yet_on_device(const TrainOptions& options);

class DeviceStep {
 public:
  // Device and `ranks` must outlive it. Without graphs every kernel is launched by itself; the
  // results are the same, bit for bit. Proxy mode does without, for sizes and the reversal change
  // with every step; its device holds activations in fp32.
  DeviceStep(const Model& model, Device& device, DeviceCommunicator& ranks, bool graphs);

  // Takes what steps and validations of batches up to this size ask for at once: what is too much
  // is known before the first, and none moves memory. `refit`: of the second stage, too. Before the
  // first step.
  void reserve(const LargestBatch& largest, bool deterministic, bool refit);
  // Of the device. `batches` once more in page-locked memory of the host.
  MemoryUse memory() const;

  // Weights and optimiser state, from and to the host; both wait.
  void upload(const ModelWeights& weights, const Optimizer& optimizer) {
    weights_.upload(*queue_, weights, optimizer);
  }
  void download(ModelWeights& weights, Optimizer& optimizer) const {
    weights_.download(*queue_, weights, optimizer, {0, model_.layout().size()});
    weights_.download_tables(*queue_, weights);
  }
  // Of what steps of the second stage move alone.
  void download_refit(ModelWeights& weights, Optimizer& optimizer) const {
    weights_.download(*queue_, weights, optimizer, {model_.refit_first(), model_.refit_last()});
  }

  // Steps whose results may be unread when another is begun.
  static constexpr int64_t kUnread = 1;
  // COLLECTIVE. Queues a step, as train_step() takes one. Of `state` it reads the options and
  // whether only the second stage learns, and keeps the phases.
  void begin(StepState& state, std::span<const io::Journeys> blocks, int64_t step,
             const OptimizerSettings& settings);
  int64_t unread() const { return begun_ - read_; }
  // What became of the oldest step that is unread. Waits for that step. Of one that was skipped the
  // bad tensor is known where no other was begun since.
  StepResult result(StepState& state);

  // Losses of these blocks under the weights as they are, some `at_once` journeys together. Waits.
  // No step may be unread.
  LossTotals losses(StepState& state, std::span<const io::Journeys> blocks, int64_t at_once);

 private:
  // What the device finds out in a step.
  struct Sums {
    LossSums losses;
    double squares[3] = {};  // of the gradient: dense, cats, items
    float scale = 0;         // of the gradient in the update; NaN: skipped
  };
  // What recorded work depends on: sizes, and where memory lies that may grow.
  struct Situation {
    int64_t journeys = 0, touches = 0, cat_rows = 0, item_rows = 0;
    int64_t pairs = 0;  // of a step of the second stage; -1: of another
    const void* memory = nullptr;
    const void* scratch = nullptr;
    const void* staging = nullptr;
    bool operator==(const Situation&) const = default;
  };
  // The gradient of a batch; dense: of the part of the arena that learns, rows: [distinct rows,
  // width].
  struct Gradient {
    DeviceSpan<float> dense;
    DeviceSpan<float> cats;
    DeviceSpan<float> items;
  };
  // What is summed over ranks at once: a piece of the dense gradient, and with the last piece the
  // rows of this gradient and the losses.
  struct RankSum {
    DeviceSpan<float> dense;
    std::optional<Gradient> last;
  };
  // A step as graphs: one before each sum over ranks (null: nothing is new since the sum before),
  // and one of what follows the sums. Of one rank that is the whole step.
  struct Recording {
    struct Part {
      std::unique_ptr<Graph> graph;
      RankSum sum;
    };
    Situation situation;  // in which a step went through without asking for memory
    std::vector<Part> parts;
    std::unique_ptr<Graph> rest;  // null: not yet recorded
  };
  // A batch of two in turn takes its inputs and results with it, so that the host may be one step
  // ahead of the device.
  struct Slot {
    explicit Slot(Device& device);
    Staging staging;
    DeviceBatch batch;
    HostArray<Sums> sums;  // one
    std::unique_ptr<Event> copied, done;
    DeviceTimes times;
    std::optional<size_t> waits;  // span in which the queue had nothing to do but sums over ranks
    int64_t shown_as = -1;        // step of the timeline; -1: of none
    std::vector<Recording> recordings;  // oldest first
  };

  Slot& slot_of(int64_t number);  // of a step, counted from 0
  void begin_times(Slot& slot, const Timeline* timeline);
  template <class Work>
  void timed(Slot& slot, Queue& queue, Lane lane, const char* name, const Work& work);
  template <class Work>
  void timed_part(Slot& slot, const char* name, const Work& work);
  void note_times(const Slot& slot, Phases& phases, double began, double waited);
  void send(Slot& slot, StepState& state, std::span<const io::Journeys> blocks,
            const StepSettings& settings, Padding padding, RowsOf rows,
            std::optional<uint64_t> refit = std::nullopt);
  void queue_step(Slot& slot);
  // `complete`: see Pass.
  Gradient pass_through(const DeviceBatch& batch,
                        const std::function<void(int64_t from)>* complete = nullptr);
  Gradient own_gradient(Slot& slot, const std::function<void(int64_t from)>* complete = nullptr);
  DeviceSpan<float> sum_rows(const DeviceWeights::Table& table, Matrix<const float> of_uses,
                             const DeviceBatch::Rows& rows);
  void update(Slot& slot, const Gradient& gradient);
  // Of an array of the arena the part that learns from such a batch.
  DeviceSpan<float> learnt(const DeviceArray<float>& arena, const DeviceBatch& batch) const;

  // In device_step_refit.cc.
  Gradient pass_of_refit(const DeviceBatch& batch);

  // In device_step_sums.cc.
  void send_sum(Slot& slot, const RankSum& sum);
  void await_sums(Slot& slot);
  Gradient summed_gradient(Slot& slot);

  // In device_step_graphs.cc.
  Situation situation(const Slot& slot) const;
  void run(Slot& slot);
  void run_by_graphs(Slot& slot);
  void record(Slot& slot, Recording& recording);
  void launch(Slot& slot, const Recording& recording);

  Padding padding(bool deterministic) const;

  // In device_step_memory.cc.
  int64_t rehearse(const BatchSizes& step, const BatchSizes& pass, bool exact, bool refit);

  // In device_step_exact.cc, as is all that follows.
  struct Exact {
    explicit Exact(Device& device);
    Staging staging;             // of a micro-block
    DeviceArray<float> largest;  // absolute gradient over micro-blocks: dense, cats, items
    HostArray<float> largest_read;
    DeviceArray<int64_t> sums;  // dense, cats, items
    std::unique_ptr<Event> reached;
  };
  void step_exactly(Slot& slot, StepState& state, std::span<const io::Journeys> blocks,
                    PhaseSpan& phase);
  template <class With>
  LossTotals for_each_block(Slot& slot, StepState& state, std::span<const io::Journeys> blocks,
                            const With& with);
  void wait_for_queue(const char* what);

  std::string first_bad_tensor(const Slot& slot) const;

  const Model& model_;
  Device& device_;
  const Ops& ops_;
  DeviceCommunicator& ranks_;
  const std::vector<int64_t> gradient_cuts_;
  const bool graphs_;
  Recording* recording_ = nullptr;  // what is queued becomes part of it
  float reversal_ = 0;              // of the step that is queued
  DeviceWeights weights_;
  Workspace memory_;
  BatchPacker packer_;
  DeviceArray<Sums> sums_;        // one
  std::unique_ptr<Exact> exact_;  // with the first exact step
  std::array<Slot, kUnread + 1> slots_;
  int64_t begun_ = 0;
  int64_t read_ = 0;
  std::unique_ptr<Event> made_, summed_;  // see send_sum(), await_sums()
  std::unique_ptr<Event> origin_;         // of times, reached at
  double origin_seconds_ = 0;
  // Last, for they end first, and with them the work that uses the rest.
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Queue> copies_;
  std::unique_ptr<Queue> wire_;  // sums over ranks
};

// What `work` queues, as a span of the timeline where one is recorded.
template <class Work>
void DeviceStep::timed(Slot& slot, Queue& queue, Lane lane, const char* name, const Work& work) {
  if (slot.shown_as < 0) return work();
  const size_t span = slot.times.begin(queue, lane, name);
  work();
  slot.times.end(queue, span);
}

// A part of a step. In a graph there are no times: a step that is one graph is one span.
template <class Work>
void DeviceStep::timed_part(Slot& slot, const char* name, const Work& work) {
  if (recording_ != nullptr || (graphs_ && ranks_.size() == 1)) return work();
  timed(slot, *queue_, Lane::gpu, name, work);
}

}  // namespace alm
