// What a training run may be told, resolved from the command line by launch/train.cc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/estimate/control.h"
#include "engine/model/model_options.h"

namespace alm {

struct TrainOptions {
  int64_t batch = 0;   // journeys of a global batch; 0: by the number of training rows
  int64_t epochs = 0;  // 0: as many as give 1,200 steps, at most 20
  uint64_t seed = 1;
  double holdout = 0.2;        // share of users used for no fit; of no use with folds > 1
  int64_t folds = 1;           // fits that share the users out among them
  int64_t bootstrap_fits = 0;  // replicates of the user bootstrap that fit the nuisances again
  double validation = 0.05;    // share of the training users
  double learning_rate = 3e-3;
  int64_t warmup_steps = 50;
  double weight_decay = 1e-3;
  double row_learning_rate = 0.02;
  double clip_norm = 10;     // of the mean gradient over a batch; 0: off
  int64_t refit_epochs = 3;  // passes of the second stage's final fit
  double refit_learning_rate = 2e-3;
  int64_t patience = 3;         // validations without gain before stopping
  bool pcgrad = false;          // conflicting gradients of the trunk lose what opposes the other
  double adversary_warmup = 0;  // proxy mode: share of the steps before the reversal begins
  int64_t discriminator_steps = 1;  // proxy mode: that the discriminator takes in a step
  bool deterministic = false;
  bool graph = true;             // steps on a GPU are launched in one go
  bool tmle = false;             // --tmle: targeted values beside the one-step ones of arm logs
  bool tabular = false;          // --nuisance tabular: count, train nothing
  std::string timeline;          // file that shows when ranks did what (timeline.h); empty: none
  int64_t timeline_steps = 300;  // of the first fit that are in it
  int64_t report_every = 50;     // steps between lines of metrics.jsonl
  int64_t checkpoint_every = 0;  // steps; 0: only at the end of each fit
  double max_minutes = 0;        // stop early with a checkpoint; 0: no limit
  bool resume = false;
  std::vector<Control> controls;  // negative controls to make once the estimates are
  ModelOptions model;
};

// batch: 1,024 below a million training rows, 4,096 below ten million, else 8,192 (contract 1).
// Where 20 epochs of 1,024 are fewer than 1,000 steps (below 51,200 rows) it is halved until they
// are not, to 64 at least.
int64_t resolved_batch(int64_t batch, int64_t training_rows);
// ceil(1,200 / steps per epoch), at most 20.
int64_t resolved_epochs(int64_t epochs, int64_t steps_per_epoch);
// Journeys of a micro-block: 256 at batch >= 8,192, else batch / 16. UserError (advice) when the
// batch does not divide.
int64_t micro_block_rows(int64_t batch);

}  // namespace alm
