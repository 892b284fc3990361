// What a choice of exposures is worth (contract 3 `policy`, method 6.4): incremental outcomes per
// 1,000 exposures when only a share of them may be chosen, by several ways of choosing.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/estimate/ranked_values.h"
#include "io/json.h"

namespace alm {

inline constexpr double kBudgets[] = {0.01, 0.02, 0.05, 0.10, 0.20};

// One way of choosing, best first. Choices may rank several pools of their own (users of one half
// by what the other half showed): each gives the same share.
struct Choice {
  std::string name;
  std::vector<RankedTies> values;
  std::vector<RankedTies> true_do;  // the same pools; empty: no truth
  std::vector<RankedTies> true_ett;
  std::string why;  // not empty: there is no such choice here, and why
};

// By the bins of a score. `truth`: the known effects were added.
Choice choice_by_score(const char* name, const RankedValues& values, bool truth);
// By clusters, for the users of each half ranked by what the other half showed. All [clusters, 2]
// by half, next to each other; credit: a cluster's worth among the users of that half. true_* are
// empty without truth.
struct ValuesByHalf {
  explicit ValuesByHalf(int64_t clusters)
      : values(2 * clusters, user_group_count(clusters)),
        true_do(2 * clusters, 1),
        true_ett(2 * clusters, 1) {}
  void merge(const ValuesByHalf& other);
  // COLLECTIVE.
  void reduce(Communicator& comm);

  GroupedSums values;
  GroupedSums true_do, true_ett;
};
Choice choice_by_credit(const char* name, const ValuesByHalf& values,
                        std::span<const double> credit, bool truth);

// One row a budget: value per 1,000 exposures of every choice and of a random one (`random`, the
// mean over all exposures of `choices[0]`), with intervals, beside what the first choice is worth
// above the others, and the true values where known.
io::Json policy_json(std::span<const Choice> choices);

// RATE of a choice and of a rival (null: none), and their difference. `rows`: exposures in all.
io::Json rate_json(const Choice& choice, const Choice* rival, double rows);

}  // namespace alm
