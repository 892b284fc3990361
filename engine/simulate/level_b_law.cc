#include "engine/simulate/level_b_law.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/simulate/shape.h"
#include "kernels/base/check.h"
#include "kernels/base/rng.h"

namespace alm {
namespace {

double sigmoid(double z) {
  return 1 / (1 + std::exp(-z));
}

void check_between(const char* option, double value, double lowest, double highest) {
  if (!(value >= lowest && value <= highest)) {
    throw UserError(
        format("--%s %g is out of bounds: give %g to %g", option, value, lowest, highest));
  }
}

void check_options(const LevelBOptions& options) {
  if (options.clusters < 1 || options.clusters > std::numeric_limits<uint32_t>::max()) {
    throw UserError(format("--clusters %lld is out of bounds: give 1 or more (below 2^32)",
                           static_cast<long long>(options.clusters)));
  }
  check_between("confounding", options.confounding, -20, 20);
  check_between("u-to-m", options.u_to_m, -20, 20);
  check_between("direct", options.direct, 0, 1);
  check_between("leak", options.leak, 0, 1);
  check_between("mediator-leak", options.mediator_leak, 0, 1);
  check_between("proxy-noise", options.proxy_noise, 0, 1);
  check_between("keep-negatives", options.keep_negatives, 1e-6, 1);
}

}  // namespace

LevelBLaw::LevelBLaw(const LevelBOptions& options) : options_(options) {
  check_options(options);
  for (int64_t k = 0; k < options.clusters; ++k) {
    Rng rng(options.seed, Stream::parameters, static_cast<uint64_t>(k));
    clusters_.popularity.push_back(std::pow(static_cast<double>(k + 1), -kPopularityDecay));
    clusters_.taste0.push_back(0.5 * rng.normal());
    clusters_.taste1.push_back(0.5 * rng.normal());
    const double affinity = rng.normal();
    clusters_.affinity.push_back(affinity);
    clusters_.intercept.push_back(rng.normal());
    const double base = options.rare ? -4.0 : -1.8;
    clusters_.potency.push_back(sigmoid(base - 0.9 * affinity + 0.4 * rng.normal()));
    confounded_.push_back(std::exp(options.confounding * affinity));
    direct_survival_.push_back(affinity > 1 ? 1 - options.direct : 1);
  }
}

double LevelBLaw::p_u(const std::array<double, 2>& x) {
  return sigmoid(-0.5 + 0.5 * x[0]);
}

double LevelBLaw::base_survival(const std::array<double, 2>& x, int64_t u) const {
  const double base = options_.rare ? -5.0 : -2.8;
  return std::exp(-std::exp(base + 0.4 * x[1] + 1.8 * static_cast<double>(u)));
}

double LevelBLaw::p_mediator(int64_t cluster, double match, int64_t earlier, int64_t u) const {
  return sigmoid(-1 + 0.3 * match + 0.6 * clusters_.intercept[static_cast<size_t>(cluster)] -
                 0.5 * static_cast<double>(earlier) + options_.u_to_m * static_cast<double>(u));
}

void LevelBLaw::expose(const std::array<double, 2>& x, Exposure& exposure) const {
  const size_t count = clusters_.popularity.size();
  exposure.match.resize(count);
  exposure.up_to[0].resize(count);
  exposure.up_to[1].resize(count);
  double total0 = 0, total1 = 0;
  for (size_t k = 0; k < count; ++k) {
    const double match = clusters_.taste0[k] * x[0] + clusters_.taste1[k] * x[1];
    const double weight = match < kLeastTaste ? 0.0 : clusters_.popularity[k] * std::exp(match);
    total0 += weight;
    total1 += weight * confounded_[k];
    exposure.match[k] = match;
    exposure.up_to[0][k] = total0;
    exposure.up_to[1][k] = total1;
  }
}

double LevelBLaw::p_cluster(const Exposure& exposure, int64_t cluster, int64_t u) {
  const std::vector<double>& up_to = exposure.up_to[static_cast<size_t>(u)];
  const size_t k = static_cast<size_t>(cluster);
  return (up_to[k] - (k == 0 ? 0.0 : up_to[k - 1])) / up_to.back();
}

int64_t LevelBLaw::draw_cluster(const Exposure& exposure, int64_t u, double uniform) {
  const std::vector<double>& up_to = exposure.up_to[static_cast<size_t>(u)];
  // The first running sum above the point belongs to a cluster of positive weight. A uniform below
  // 1 times the total rounds to less than the total, so there is one.
  const auto found = std::upper_bound(up_to.begin(), up_to.end(), uniform * up_to.back());
  return found - up_to.begin();
}

void LevelBLaw::truth(const std::array<double, 2>& x, const Exposure& exposure,
                      std::span<const uint32_t> touches, LevelBTruth& truth) const {
  const size_t length = touches.size();
  ALM_CHECK(length <= kMostTouches);
  truth.delta_do.assign(length, 0.0);
  truth.delta_ett.assign(length, 0.0);
  truth.delta_removal.assign(length, 0.0);

  // log P(T|x,1) / P(T|x,0). Deletion is of exposures, so the mediators are not conditioned on.
  const double prior = p_u(x);
  double evidence = 0;
  std::array<int64_t, kMostTouches> earlier;
  for (size_t j = 0; j < length; ++j) {
    evidence += options_.confounding * clusters_.affinity[touches[j]];
    earlier[j] = std::count(touches.begin(), touches.begin() + static_cast<int64_t>(j), touches[j]);
  }
  if (length > 0) {
    evidence -=
        static_cast<double>(length) * (std::log(exposure.total(1)) - std::log(exposure.total(0)));
  }
  const double posterior = sigmoid(std::log(prior / (1 - prior)) + evidence);

  truth.p_do = truth.p_none = truth.p_seen = 1;
  std::array<double, kMostTouches> factor;   // of touch l on P(Y=0), mediator summed out
  std::array<double, kMostTouches> fresher;  // the same with one earlier touch of its cluster fewer
  for (int64_t u = 0; u < 2; ++u) {
    const double survival = base_survival(x, u);
    const double weight_do = (u == 1 ? prior : 1 - prior) * survival;
    const double weight_ett = (u == 1 ? posterior : 1 - posterior) * survival;
    double all = 1;
    for (size_t l = 0; l < length; ++l) {
      const size_t k = touches[l];
      const auto averaged = [&](int64_t count) {
        return direct_survival_[k] *
               (1 - clusters_.potency[k] *
                        p_mediator(static_cast<int64_t>(k), exposure.match[k], count, u));
      };
      factor[l] = averaged(earlier[l]);
      fresher[l] = earlier[l] > 0 ? averaged(earlier[l] - 1) : factor[l];
      all *= factor[l];
    }
    for (size_t j = 0; j < length; ++j) {
      double without = 1;
      for (size_t l = 0; l < j; ++l) without *= factor[l];
      for (size_t l = j + 1; l < length; ++l) {
        without *= touches[l] == touches[j] ? fresher[l] : factor[l];
      }
      truth.delta_do[j] += weight_do * (without - all);
      truth.delta_ett[j] += weight_ett * (without - all);
      double cleared = 1;  // other clusters' mediators do not know of these touches
      for (size_t l = 0; l < length; ++l) {
        if (touches[l] != touches[j]) cleared *= factor[l];
      }
      truth.delta_removal[j] += weight_ett * (cleared - all);
    }
    truth.p_do -= weight_do * all;
    truth.p_none -= weight_do;
    truth.p_seen -= weight_ett * all;
  }
  truth.confounder = posterior;
  if (options_.feedback) {
    // A repeated cluster tells nothing about u, and which touches are repeats is not seen.
    const double unknown = std::numeric_limits<double>::quiet_NaN();
    truth.delta_ett.assign(length, unknown);
    truth.delta_removal.assign(length, unknown);
    truth.p_seen = truth.confounder = unknown;
  }
}

}  // namespace alm
