// How wrong the assumptions must be before a front-door effect turns its sign, in closed form over
// sums of the estimates (method 7.4): a direct effect of the touch, and a hidden cause of both
// mediator and outcome.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/estimate/user_sums.h"
#include "io/json.h"
#include "kernels/base/fixed_point.h"

namespace alm {

// Effects of the hidden cause on the mediator's logit that are tabled.
inline constexpr std::array<double, 4> kTieStrengths{0.25, 0.5, 1, 2};
// Shares of the outcome's unexplained variance that are its doing.
inline constexpr std::array<double, 3> kTieShares{0.01, 0.05, 0.1};

// A hidden cause U, 1 for half of the users, raises the mediator's logit by `strength`; p is the
// probability of the mediator over both halves. What a unit effect of U on the outcome adds to
// E[Y | m=1] - E[Y | m=0]: P(U=1 | m=1) - P(U=1 | m=0) = (p1 - p0) / (4 p (1-p)), where p1 and p0
// average to p and differ by `strength` in logits. 0 where p is 0 or 1.
double tie(double p, double strength);

// Not thread-safe: one per thread, then merge.
class SensitivitySums {
 public:
  explicit SensitivitySums(int64_t clusters);
  // A touch (arm logs: journey) with a value of its own: p of its mediator, and by how much the
  // edit lowers it (deletion: p; replacement by an arm: p less that arm's).
  void add(int64_t cluster, double p, double lowered, double weight);
  // A journey: outcome less its prediction.
  void add_residual(double residual, double weight);
  void merge(const SensitivitySums& other);
  // COLLECTIVE.
  void reduce(Communicator& world);

  // What an effect of 1 of U on the outcome adds to the cluster's effect; to that of all touches.
  double bias(int64_t cluster, size_t strength) const;
  double bias(size_t strength) const;
  // The effect on the outcome of a U that explains this share of its unexplained variance.
  double effect_of_u(double share) const;
  int64_t clusters() const { return static_cast<int64_t>(weight_.size()); }

 private:
  std::vector<FixedSum> tied_;    // [clusters, strengths]
  std::vector<FixedSum> weight_;  // [clusters]
  FixedSum squares_, rows_;
};

// `sensitivity`, of `ett.one_step`. `overall`: of all touches; `effects`: by cluster, an se of NaN
// where the interval is withheld.
io::Json sensitivity_json(const SensitivitySums& sums, const MeanEstimate& overall,
                          const std::vector<MeanEstimate>& effects);
// Puts it into `identification`, null with `why_not` where that is not empty. `effects`: as in
// estimates.json.
void put_sensitivity(const SensitivitySums& sums, const MeanEstimate& overall,
                     const io::Json& effects, const std::string& why_not, io::Json& identification);

}  // namespace alm
