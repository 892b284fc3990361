// Means per cluster with standard errors clustered by user, from sums per (cluster, user group)
// that do not depend on the order of the rows, hence not on ranks or threads (contract 4.1).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/comm/communicator.h"
#include "io/json.h"
#include "kernels/base/fixed_point.h"

namespace alm {

// A mean with its error. Both NaN where there is no weight; the error also where the rows are of
// one user group alone.
struct MeanEstimate {
  double mean = 0;
  double se = 0;
  double weight = 0;    // sum of weights
  int64_t touches = 0;  // rows added with weight > 0

  std::array<double, 2> ci95() const { return {mean - 1.96 * se, mean + 1.96 * se}; }
};

// {"mean", "se", "ci95", "weight", "touches"}; null with `why` when nothing was added.
io::Json to_json(const MeanEstimate& estimate);

// Weighted sums per (cluster, user group). Memory goes with the pairs that occur, at most 32 bytes
// for each possible pair. Not thread-safe: one per thread, then merge.
class GroupedSums {
 public:
  // One group: totals alone, their error is unknown.
  GroupedSums(int64_t clusters, int64_t groups);
  explicit GroupedSums(int64_t clusters);  // user_group_count(clusters) groups

  int64_t clusters() const { return clusters_; }
  int64_t groups() const { return groups_; }

  // value and weight finite, weight >= 0.
  void add(int64_t cluster, uint64_t user, double value, double weight = 1.0) {
    add_ratio(cluster, user, value * weight, weight);
  }
  // The mean is sum(numerator) / sum(denominator): per-exposed-user effects give rows without
  // exposure a denominator of 0 (method 5.3).
  void add_ratio(int64_t cluster, uint64_t user, double numerator, double denominator);
  // Asks for the memory that an add() to come will touch: sums lie anywhere in many megabytes.
  void prefetch(int64_t cluster, uint64_t user) const;
  void merge(const GroupedSums& other);
  // COLLECTIVE.
  void reduce(Communicator& comm, const char* what);

  // Method 5.2: se^2 = sum_g (S_g - W_g mean)^2 / W^2.
  MeanEstimate estimate(int64_t cluster) const;
  // All clusters as one.
  MeanEstimate overall() const;

  // Sums of one cluster by group.
  double sum(int64_t cluster, int64_t group) const;
  double weight(int64_t cluster, int64_t group) const;
  double sum(int64_t cluster) const;
  double weight(int64_t cluster) const;
  int64_t touches(int64_t cluster) const { return touches_[static_cast<size_t>(cluster)]; }

  // body(group, sum, weight) for every group that may have rows of the cluster, ascending.
  template <class Body>
  void each_group(int64_t cluster, const Body& body) const {
    const std::span<const Cell> cells = cells_of(cluster);
    for (size_t at = 0; at < cells.size(); ++at) {
      body(group_at(cluster, at), cells[at].sum.value(), cells[at].weight.value());
    }
  }

 private:
  struct alignas(2 * sizeof(FixedSum)) Cell {  // within one cache line
    FixedSum sum, weight;
  };
  // Cells of the groups named, ascending; with no group named, of all groups.
  struct Row {
    std::vector<uint16_t> groups;
    std::vector<Cell> cells;
  };
  Cell& cell(int64_t cluster, int64_t group);
  // Null where there are no rows.
  const Cell* find(int64_t cluster, int64_t group) const;
  // Of the groups that have one.
  std::span<const Cell> cells_of(int64_t cluster) const {
    const size_t k = static_cast<size_t>(cluster);
    return groups_ == 1 ? std::span(&alone_[k], 1) : std::span(rows_[k].cells);
  }
  // The group of the cluster's cell at that place.
  int64_t group_at(int64_t cluster, size_t place) const {
    const bool all = groups_ == 1 || rows_[static_cast<size_t>(cluster)].groups.empty();
    return all ? static_cast<int64_t>(place) : rows_[static_cast<size_t>(cluster)].groups[place];
  }
  void add_cells(int64_t to, const GroupedSums& from, int64_t cluster);

  int64_t clusters_;
  int64_t groups_;
  std::vector<Row> rows_;         // [clusters]; none where there is one group
  std::vector<Cell> alone_;       // [clusters] where there is one group
  std::vector<int64_t> touches_;  // [clusters]
};

// mean(a, cluster_a) - mean(b, cluster_b) with the error of the paired difference: the residuals of
// both means are differenced within each user group before squaring, so what the two share cancels.
// With the same rows in both it is the difference of the values, row by row. Groups must be equal
// in number. `weight` and `touches` are those of a.
MeanEstimate contrast(const GroupedSums& a, int64_t cluster_a, const GroupedSums& b,
                      int64_t cluster_b);

// Mean of the cluster's rows minus the mean of the other rows, where `all` (one cluster, same
// groups) holds every row once: the naive effect.
MeanEstimate contrast_with_rest(const GroupedSums& touched, int64_t cluster,
                                const GroupedSums& all);

// Distinct users per cluster: the smallest `limit` hashes of each cluster. Exact up to `limit`
// users; above it (limit - 1) / (limit-th smallest hash as a share of the range), relative error 1
// / sqrt(limit). Order-free. Not thread-safe: one per thread, then merge.
class DistinctUsers {
 public:
  explicit DistinctUsers(int64_t clusters);
  DistinctUsers(int64_t clusters, int64_t limit);

  void add(int64_t cluster, uint64_t user);
  void merge(const DistinctUsers& other);
  // COLLECTIVE. The count of every cluster is made by one rank and given to all.
  void reduce(Communicator& comm, const char* what);

  // After reduce().
  int64_t count(int64_t cluster) const { return counts_[static_cast<size_t>(cluster)]; }
  bool exact(int64_t cluster) const { return exact_[static_cast<size_t>(cluster)] != 0; }
  // The count where it is known for certain, else `limit`, than which there are more.
  int64_t at_least(int64_t cluster) const { return exact(cluster) ? count(cluster) : limit_; }
  int64_t limit() const { return limit_; }

 private:
  void insert(int64_t cluster, uint64_t word);
  void compact(int64_t cluster);

  int64_t limit_;
  std::vector<std::vector<uint64_t>> smallest_;  // [clusters] unsorted between compactions
  std::vector<uint64_t> bound_;                  // [clusters] larger hashes are of no use
  std::vector<int64_t> counts_;
  std::vector<int64_t> exact_;
};

}  // namespace alm
