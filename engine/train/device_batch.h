// The inputs of a batch, made on the host by all threads and packed for a device.
#pragma once

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
  // On the host: see ProxyInputs::add_known(). Of a step of several ranks that of all.
  LossTotals known;
  Rows cats;
  Rows items;
  const StepSettings* settings = nullptr;
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
};
// The same with what `padding` adds; an arm log has a touch a journey.
BatchSizes padded(BatchSizes of, Padding padding, const Model& model);
// What Staging must have room for, with inputs of this shape and these numbers of distinct rows.
int64_t staging_room(ModelInputs shape, int64_t cat_rows, int64_t item_rows);

// Which distinct rows a batch has, and its uses their places among: those it uses itself; those
// that the batches of all ranks use (COLLECTIVE), ascending; or those of the batch before, of which
// it is a part.
enum class RowsOf { batch, all_ranks, batch_before };

class BatchPacker {
 public:
  // The model must outlive it.
  explicit BatchPacker(const Model& model);
  // Each block is made by one thread, and is a group of the matching loss. Padding (not in proxy
  // mode) adds journeys of weight 0 and rows that no touch uses, which change no loss and no
  // weight.
  DeviceBatch pack(ThreadPool& pool, std::span<const io::Journeys> blocks,
                   const StepSettings& settings, Padding padding, RowsOf rows, Communicator& world,
                   Staging& to);

 private:
  struct Copy {
    void* to;
    const void* from;
    size_t bytes;
  };
  void make_parts(ThreadPool& pool, std::span<const io::Journeys> blocks, Padding padding);
  void pad(Inputs& part, int64_t journeys, int64_t touches) const;
  void find_rows(ThreadPool& pool, Padding padding, RowsOf rows, Communicator& world);
  ModelInputs joined_shape();
  void place_parts(Staging& to, ModelInputs& whole);
  void place_groups(Staging& to, ProxyView& whole);
  void copy_parts(ThreadPool& pool);

  const Model& model_;
  std::vector<Inputs> parts_;
  std::vector<ModelInputs> views_;  // of the parts
  std::vector<Copy> copies_;
  DistinctRows cats_;
  DistinctRows items_;
};

}  // namespace alm
