// Nuisances of arm logs by counting (`--nuisance tabular`): p(m|a,x), mu(m,a,x) and pi(a|x) in the
// strata of x, the crossed `/journey/cat` columns.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/estimate/influence.h"
#include "kernels/base/fixed_point.h"

namespace alm {

// Order-free counts, then look-ups. Not thread-safe while adding: one per thread, then merge;
// look-ups are.
class TabularNuisances {
 public:
  static constexpr int64_t kMaxStrata = 65536;

  // `columns` /journey/cat columns; none: one stratum.
  TabularNuisances(int64_t arms, int64_t columns);

  // mediator 0, 1, or 255 (not observed: counts for pi only). UserError above kMaxStrata strata.
  void add(std::span<const int64_t> cat, int64_t arm, uint8_t mediator, double outcome,
           double weight = 1.0);
  void merge(const TabularNuisances& other);
  // COLLECTIVE. Afterwards every rank holds all strata; then finish() is done too.
  void reduce(Communicator& comm, const char* what);
  // Turns counts into probabilities; call once after the last add, merge or reduce.
  void finish();

  // What the counts say at x; views live as long as the object. A cell without journeys takes the
  // value of the stratum over all arms (mu: same m), else of all strata, and an unseen stratum
  // those of all strata.
  ArmNuisances at(std::span<const int64_t> cat) const;

  int64_t strata() const { return static_cast<int64_t>(counts_.size()); }
  // Cells (stratum, arm) without journeys and (stratum, arm, m) that matter (p(m|a,x) > 0 for some
  // arm) without journeys: no overlap there, the values are borrowed.
  int64_t empty_cells() const { return empty_cells_; }
  bool known(std::span<const int64_t> cat) const;

  // For checkpoints: words <-> counts.
  std::vector<int64_t> pack() const;
  void merge_packed(std::span<const int64_t> words);

 private:
  // Per arm: weight, weight with m=0, with m=1, outcome with m=0, with m=1.
  using Counts = std::vector<FixedSum>;
  struct Values {
    std::vector<double> mediator, outcome0, outcome1, propensity;
  };
  Counts& stratum(const std::vector<int64_t>& key);
  Values values_of(const Counts& counts, const Values* fallback, int64_t& empty) const;

  int64_t arms_;
  int64_t columns_;
  std::map<std::vector<int64_t>, Counts> counts_;
  std::map<std::vector<int64_t>, Values> values_;
  Values pooled_;
  int64_t empty_cells_ = 0;
};

}  // namespace alm
