// Level B: the law of method 8.2 over sequences of touches, and its exact effects. Doubles
// throughout.
//
// x in R^2 is observed, u in {0,1} is not. Touch j shows cluster k_j ~ pop_k exp(f_k.x + gu u c_k),
// never one with f_k.x < kLeastTaste. Its mediator comes with probability
//     p_j = sigmoid(-1 + 0.3 f_k.x + 0.6 a_k - 0.5 (earlier touches of the same cluster) + um u),
// and P(Y=0 | m, u, x) = exp(-lambda(x,u)) prod_j (1 - q_k m_j) (1 - d [c_k > 1]).
//
// If no cluster may be shown at x, the journey has no touches: that depends on x alone, so it tells
// nothing about u and needs no exception anywhere.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace alm {

struct LevelBOptions {
  uint64_t seed = 1;
  int64_t clusters = 100;
  double confounding = 1.2;  // gu; 0: u does not choose touches
  double u_to_m = 0;         // um, on the mediator's logit
  double direct = 0;         // d, per touch of a cluster with c_k > 1
  bool feedback =
      false;          // after a mediator event the next touch repeats the cluster with prob. 1/2
  bool rare = false;  // outcome rate near 5 %
  double leak = 0;    // V3 and match become 1 with this probability when Y = 1
  double mediator_leak = 0;   // so does the observed mediator
  double proxy_noise = 0;     // each proxy is flipped with this probability (before the leak)
  double keep_negatives = 1;  // share of rows with Y = 0 that are kept
};

inline constexpr double kLeastTaste = -1.2;
inline constexpr double kPopularityDecay = 0.7;

// What tells clusters apart; cluster k is a pure function of (seed, k, rare).
struct LevelBClusters {
  std::vector<double> popularity;  // (k+1)^-0.7
  std::vector<double> taste0;      // f_k ~ N(0, 0.25 I)
  std::vector<double> taste1;
  std::vector<double> affinity;   // c_k ~ N(0,1): how much u = 1 raises exposure
  std::vector<double> intercept;  // a_k ~ N(0,1): mediator
  std::vector<double> potency;    // q_k in (0,1): sigmoid(-1.8 or -4.0 - 0.9 c_k + 0.4 N(0,1))
};

// Exposure at one x: running sums of the weights over clusters, for u = 0 and 1. Reused between
// rows.
struct Exposure {
  std::vector<double> match;                 // [K] f_k . x
  std::array<std::vector<double>, 2> up_to;  // [K] inclusive
  double total(int64_t u) const { return up_to[static_cast<size_t>(u)].back(); }
  // No cluster may be shown here.
  bool empty() const { return !(total(0) > 0); }
};

// Exact effects of one journey, deletion holding the other exposures fixed.
struct LevelBTruth {
  std::vector<double> delta_do;   // [L] P(Y=1|do(T),x) - P(Y=1|do(T without j),x)
  std::vector<double> delta_ett;  // [L] the same among those who had T; NaN with feedback
  // [L] all touches of the touch's cluster deleted, among those who had T; NaN with feedback.
  std::vector<double> delta_removal;
  double p_do = 0;        // P(Y=1 | do(T), x)
  double p_none = 0;      // P(Y=1 | do(no touches), x) = 1 - Lambda(x)
  double p_seen = 0;      // P(Y=1 | T, x); NaN with feedback
  double confounder = 0;  // P(u=1 | T, x), mediators not seen; NaN with feedback
};

// Thread-safe once made.
class LevelBLaw {
 public:
  // UserError when an option is out of its bounds.
  explicit LevelBLaw(const LevelBOptions& options);

  const LevelBOptions& options() const { return options_; }
  const LevelBClusters& clusters() const { return clusters_; }

  static double p_u(const std::array<double, 2>& x);  // P(u=1 | x)
  // exp(-lambda(x, u)): no outcome without touches.
  double base_survival(const std::array<double, 2>& x, int64_t u) const;
  // p_j, where `match` is f_k . x and `earlier` the earlier touches of the same cluster.
  double p_mediator(int64_t cluster, double match, int64_t earlier, int64_t u) const;
  // Factor of one touch on P(Y=0), for the mediator it had.
  double touch_survival(int64_t cluster, bool mediator) const {
    const size_t k = static_cast<size_t>(cluster);
    return (mediator ? 1 - clusters_.potency[k] : 1) * direct_survival_[k];
  }
  void expose(const std::array<double, 2>& x, Exposure& exposure) const;
  // P(cluster | x, u) at the exposure's x; 0 when it is never shown there.
  static double p_cluster(const Exposure& exposure, int64_t cluster, int64_t u);
  // Draws a cluster by a uniform in [0,1). The exposure is not empty.
  static int64_t draw_cluster(const Exposure& exposure, int64_t u, double uniform);
  // O(L^2) multiplications, O(L) exponentials; at most kMostTouches touches, each shown with
  // positive probability. Methods 3.1 and 8.2, with u summed out: P(u|x) for do, P(u|T,x) for ett.
  void truth(const std::array<double, 2>& x, const Exposure& exposure,
             std::span<const uint32_t> touches, LevelBTruth& truth) const;

 private:
  LevelBOptions options_;
  LevelBClusters clusters_;
  std::vector<double> confounded_;       // exp(gu c_k)
  std::vector<double> direct_survival_;  // 1 - d where c_k > 1, else 1
};

}  // namespace alm
