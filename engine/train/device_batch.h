// The inputs of a batch, made on the host by all threads and packed for a device.
#pragma once

#include <optional>
#include <vector>

#include "engine/model/inputs.h"
#include "engine/model/model.h"
#include "engine/model/staging.h"
#include "engine/train/distinct_rows.h"
#include "engine/train/step.h"
#include "kernels/base/thread_pool.h"

namespace alm {

// A batch in memory of a device, once what was packed has been sent.
struct DeviceBatch {
  // Distinct rows of a table.
  struct Rows {
    std::span<const int64_t> rows;
    std::span<const int64_t> places;  // [uses] where in `rows` the row of a use stands
  };
  ModelInputs inputs;
  // On the host: see ProxyInputs::add_known(). Of a training step of several ranks that of all.
  LossTotals known;
  Rows cats;
  Rows items;
  const StepSettings* settings = nullptr;
  // Of a step of the second stage: with pairs of the removal net where the model reads them.
  bool refit = false;
};

// Sizes of most batches are those of no other. Padded, they are of a few sizes: a graph recorded
// for one serves many.
enum class Padding { none, shared_sizes };

// How large a batch is that goes through the model at once.
struct BatchSizes {
  int64_t journeys = 0;
  int64_t touches = 0;
  int64_t cat_rows = 0;  // distinct rows of the tables, see RowsOf
  int64_t item_rows = 0;
  int64_t pairs = 0;  // of the removal net, in a step of the second stage
};
// The same with what `padding` adds; an arm log has a touch a journey.
BatchSizes padded(BatchSizes of, Padding padding, const Model& model);
// What Staging must have room for, with inputs of this shape and these numbers of distinct rows.
int64_t staging_room(ModelInputs shape, int64_t cat_rows, int64_t item_rows);

// Which distinct rows a batch has, and its uses their places among: those it uses itself; those
// that the batches of all ranks use (COLLECTIVE), ascending; those of the batch before, of which it
// is a part; or none, where no row learns.
enum class RowsOf { batch, all_ranks, batch_before, none };

class BatchPacker {
 public:
  // The model must outlive it.
  explicit BatchPacker(const Model& model);
  // Each block is made by one thread, and is a group of the matching loss. Padding (not in proxy
  // mode) adds journeys of weight 0 and rows that no touch uses, which change no loss and no
  // weight. `refit`: the batch is of a step of the second stage, whose pairs, if any, are drawn by
  // this.
  DeviceBatch pack(ThreadPool& pool, std::span<const io::Journeys> blocks,
                   const StepSettings& settings, Padding padding, RowsOf rows, Communicator& world,
                   Staging& to, std::optional<uint64_t> refit = std::nullopt);

 private:
  struct Copy {
    void* to;
    const void* from;
    size_t bytes;
  };
  void make_parts(ThreadPool& pool, std::span<const io::Journeys> blocks, Padding padding,
                  std::optional<uint64_t> pairs);
  void pad(Inputs& part, const BatchSizes& of) const;
  void find_rows(ThreadPool& pool, Padding padding, RowsOf rows, Communicator& world);
  ModelInputs joined_shape(bool with_pairs);
  void place_parts(Staging& to, ModelInputs& whole);
  void place_groups(Staging& to, ProxyView& whole);
  void place_pairs(Staging& to, ModelInputs& whole);
  void copy_parts(ThreadPool& pool);

  const Model& model_;
  std::vector<Inputs> parts_;
  std::vector<ModelInputs> views_;  // of the parts
  std::vector<Copy> copies_;
  DistinctRows cats_;
  DistinctRows items_;
};

}  // namespace alm
