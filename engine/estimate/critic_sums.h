// Order-free sums of the critic's check.
#pragma once

#include <array>
#include <vector>

#include "engine/comm/communicator.h"
#include "io/json.h"
#include "kernels/base/fixed_point.h"

namespace alm {

// Ways to average exp(-h(T', X)) over T' | X, and the fitted Lambda itself.
enum class LambdaBy { second_stage, all, top16, top64, uniform, critic };
inline constexpr size_t kLambdaWays = 6;  // `critic` is `all`, or the top K that was asked for

// What the weights of one context gave.
struct CriticRow {
  double weight = 1;  // of the journey
  double truth = 0;   // NaN where not known
  std::array<double, kLambdaWays> lambda{};
  double captured = 1;  // mass of the weights in use
  double mass16 = 0;    // of the largest 16 and 64
  double mass64 = 0;
  double ess = 0;
};

// One per thread, then merge.
class CriticSums {
 public:
  explicit CriticSums(int64_t clusters);
  void add(const CriticRow& row);
  // A context to which the weights give `shown` of the cluster, where everyone has `base`.
  void add_cluster(int64_t cluster, double shown, double base, double weight);
  void merge(const CriticSums& other);
  // COLLECTIVE.
  void reduce(Communicator& world);

  int64_t journeys() const { return journeys_; }
  // `identification.lambda`, without what the groups were.
  io::Json lambda() const;
  // Root mean square difference of the two Lambdas.
  double disagreement() const;
  // bias and rmse of every way; null without a truth.
  io::Json against_truth() const;
  // Share of the contexts at which a cluster is in a hole; NaN where too few journeys touch it.
  double hole_share(int64_t cluster) const;

 private:
  double mean(const FixedSum& of) const { return of.value() / weight_.value(); }

  int64_t journeys_ = 0;
  double least_ess_ = 1e300;
  FixedSum weight_, captured_, mass16_, mass64_, ess_, squares_apart_, true_weight_;
  std::array<FixedSum, kLambdaWays> lambda_, error_, squared_error_;
  std::vector<FixedSum> hole_, seen_;  // [clusters]
};

}  // namespace alm
