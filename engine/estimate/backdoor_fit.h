// The back-door regression on a log: which columns it sees, fitting it, asking it.
#pragma once

#include <memory>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/estimate/backdoor.h"
#include "engine/model/bundle.h"
#include "engine/model/compute.h"
#include "engine/model/feature_stats.h"
#include "io/batch_stream.h"

namespace alm {

// Each `/journey/cat` column enters as this many indicator columns: ids below it as they are,
// others hashed.
inline constexpr int64_t kBackdoorLevels = 32;

// Most clusters with a coefficient of their own: memory goes with its square, time with its cube.
// In logs of more clusters those most touched in training have one, all others share one.
inline constexpr int64_t kBackdoorClusters = 2048;

// What the regression makes of a run of journeys. Reused from batch to batch.
struct BackdoorValues {
  std::vector<double> context_part;  // [n] as BackdoorPredictor has it, as the next
  double context_scale = 0;
  std::vector<double> removal;  // [t] BackdoorModel::removal_effect() of the touch's cluster
};

// A fitted regression with the scales of its columns: X = standardised dense, missing indicators,
// levels of the ids. Immutable; thread-safe. `stats` must outlive it.
class BackdoorPredictor {
 public:
  BackdoorPredictor(const FeatureStats& stats, std::vector<double> coefficients);
  const BackdoorModel& model() const { return model_; }
  // Linear predictor of journey `row`.
  double linear(const io::Journeys& journeys, int64_t row) const;
  // What X alone adds to it, and roughly the standard deviation of that (columns of variance 1
  // taken as uncorrelated; 0 without X): for coarse strata.
  double context_part(const io::Journeys& journeys, int64_t row, double linear) const;
  double context_scale() const { return context_scale_; }
  void evaluate(const io::Journeys& journeys, BackdoorValues& values) const;

 private:
  const FeatureStats& stats_;
  BackdoorModel model_;
  double context_scale_ = 0;
};

// X of journey `row` as the regression reads it; overwrites x.
void backdoor_features(const FeatureStats& stats, const io::Journeys& journeys, int64_t row,
                       std::vector<float>& x);
int64_t backdoor_features_width(const FeatureStats& stats);

// COLLECTIVE. Fitted on the rows that pass `training`, at most BackdoorFit::kMaxPasses scans, one
// more in logs of more than `most` clusters.
FittedBackdoor fit_backdoor(std::shared_ptr<const io::Log> log, const FeatureStats& stats,
                            const io::UserFilter& training, Compute& compute, Communicator& world,
                            int64_t most = kBackdoorClusters);

}  // namespace alm
