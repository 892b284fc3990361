// Optimiser state of one set of weights, and the update of a step.
#pragma once

#include <vector>

#include "engine/model/compute.h"
#include "engine/model/model.h"
#include "engine/train/gradient_sum.h"
#include "engine/train/row_gradient_sum.h"

namespace alm {

struct OptimizerSettings {
  double learning_rate = 0;
  double row_learning_rate = 0;
  double weight_decay = 0;
};

// What the updates of a step read. `step` counts from 1; clip_norm 0: not clipped.
StepSettings step_settings(int64_t step, const OptimizerSettings& settings, double clip_norm);

class Optimizer {
 public:
  explicit Optimizer(const Model& model);
  // AdamW on arena range [first, last), gradient times `scale`, on all threads. The range is
  // within that of the sum. `step` counts from 1.
  void update_dense(Compute& compute, ModelWeights& weights, DenseGradientSum& sum, double scale,
                    int64_t first, int64_t last, int64_t step, const OptimizerSettings& settings);
  // Row-wise Adagrad on the rows of `sum`, on all threads.
  void update_rows(Compute& compute, RowTable& table, const RowGradientSum& sum, double scale,
                   const OptimizerSettings& settings);
  void reset_moments();
  // 1: the weight decays.
  const std::vector<float>& decay_mask() const { return decay_mask_; }
  // That its vectors hold.
  int64_t bytes() const {
    return static_cast<int64_t>(
        (first_moment.capacity() + second_moment.capacity() + decay_mask_.capacity()) *
        sizeof(float));
  }

  std::vector<float> first_moment;
  std::vector<float> second_moment;

 private:
  std::vector<float> decay_mask_;
};

}  // namespace alm
