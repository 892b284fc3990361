// Values of exposures by the score that ranks them: what the best-scored share of them is worth,
// and how much a ranking finds (RATE). Order-free sums by bin of the score.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/estimate/gains.h"
#include "engine/estimate/user_sums.h"

namespace alm {

// Not thread-safe: one per thread, then merge.
class RankedValues {
 public:
  // Scores within a sixteenth of an octave count as tied; whoever chooses among them chooses at
  // random.
  static constexpr int64_t kBins = 8192;
  static constexpr int64_t kGroups = 512;  // of users; the error of an error is 3 %

  RankedValues() : values_(kBins, kGroups), true_do_(kBins, 1), true_ett_(kBins, 1) {}

  // An exposure with a value (an influence value whose nuisances did not see the user). Finite.
  void add(float score, uint64_t user, double value, double weight) {
    values_.add(bin(score), user, value, weight);
  }
  // A term of the value of exposures scored so: rows that are not exposed have denominator 0.
  void add_ratio(float score, uint64_t user, double numerator, double denominator) {
    values_.add_ratio(bin(score), user, numerator, denominator);
  }
  // Asks for what an add() to come will touch.
  void prefetch(float score, uint64_t user) const { values_.prefetch(bin(score), user); }
  // The known effects of the same exposure; NaN is left out.
  void add_truth(float score, double delta_do, double delta_ett, double weight);
  void merge(const RankedValues& other);
  // COLLECTIVE.
  void reduce(Communicator& comm, const char* what);

  static int64_t bin(float score);

  const GroupedSums& values() const { return values_; }
  const GroupedSums& true_do() const { return true_do_; }
  const GroupedSums& true_ett() const { return true_ett_; }

 private:
  GroupedSums values_;
  GroupedSums true_do_;
  GroupedSums true_ett_;
};

// Sums of tied exposures, best first, in the sample and in every replicate: [ties][columns].
using RankedTies = std::vector<std::vector<Weighted>>;
// Rows of `sums` in the order given, empty ones left out.
RankedTies ranked_ties(const GroupedSums& sums, std::span<const int64_t> order);
// All bins, best first.
RankedTies ranked_ties(const GroupedSums& by_bin);

// Sums of the best `share` of the weight, of every column; of the ties at its edge a random part.
std::vector<Weighted> top(const RankedTies& ties, double share);

// RATE of a ranking (Yadlowsky, Fleming, Shah, Brunskill, Wager 2025, "Evaluating treatment
// prioritization rules via rank-weighted average treatment effects"): TOC(u) = mean value of the
// best u minus the mean of all; AUTOC = mean of TOC over u = 1/n .. 1, Qini = mean of u TOC. Ties
// are averaged over their orders.
struct Rate {
  double autoc = NAN, qini = NAN;
};
// By column. `rows`: exposures in all, the scale on which weights count as rows.
std::vector<Rate> rates(const RankedTies& ties, double rows);

}  // namespace alm
