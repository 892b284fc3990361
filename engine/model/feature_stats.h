// What a first pass over the training rows learns about a log, before any model: scales, missing
// values, admitted items, rows per block. Kept in the checkpoint; the same for any number of ranks.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/model/model_inputs.h"
#include "engine/model/model_options.h"
#include "io/batch_stream.h"
#include "io/json.h"
#include "io/log_reader.h"

namespace alm {

// Standardisation of the columns of one dense data set. A column that misses values gets an
// indicator.
struct ColumnScales {
  std::vector<float> mean;
  std::vector<float> inverse_sd;      // 0 for a constant column
  std::vector<int64_t> missing_slot;  // index of the indicator column, -1 none
  int64_t slots = 0;                  // number of indicator columns

  int64_t width() const { return static_cast<int64_t>(mean.size()) + slots; }
  ScalesView view() const { return {mean, inverse_sd, missing_slot}; }
  bool operator==(const ColumnScales&) const = default;
};

struct FeatureStats {
  io::LogSchema schema;
  ColumnScales dense;
  ColumnScales touch_dense;
  double outcome_mean = 0;
  double outcome_sd = 1;           // 1 for binary outcomes
  int64_t longest = 0;             // touches of the longest journey, after cutting to max_touches
  std::vector<float> touch_share;  // [clusters] of the training rows, those that touch the cluster
  std::vector<uint8_t>
      item_admitted;  // [item_rows] 1: the row has its own weights; empty: no items
  // [clusters] log of the share of the training touches, with one more for every cluster; proxy
  // mode only.
  std::vector<float> cluster_log_share;

  // Continuous outcomes are learned on the standardised scale.
  float standardised_outcome(float outcome) const {
    return static_cast<float>((outcome - outcome_mean) / outcome_sd);
  }
};

// What the pass counts beside the statistics.
struct FirstPass {
  FeatureStats stats;
  std::vector<std::vector<int64_t>> fit_rows;  // [fits][blocks] training rows of each fit
  int64_t rows = 0;                            // all rows read
  int64_t scored_rows = 0;                     // rows that pass `scored`
  io::ReadReport report;                       // bad and cut rows of the whole log
};

// The columns that a model of these options reads.
io::ColumnSet model_columns(const ModelOptions& model);

// UserError when a log of this schema has not what --mediator asks for.
void check_mediator_mode(const ModelOptions& model, const io::LogSchema& schema);

// COLLECTIVE. Each rank scans its share of the blocks. `fits`: the training users of every fit
// there will be; the statistics are of the first. UserError when the first has no row or no weight,
// the outcome never varies, or the mediator that the model needs is absent.
FirstPass first_pass(std::shared_ptr<const io::Log> log, const ModelOptions& model,
                     std::span<const io::UserFilter> fits, const io::UserFilter& scored,
                     int64_t threads, Communicator& world);

// Blocks [first, last) of a rank: consecutive, sizes differing by at most one.
struct BlockRange {
  int64_t first = 0;
  int64_t last = 0;
};
BlockRange blocks_of_rank(int64_t blocks, int64_t rank, int64_t ranks);

}  // namespace alm
