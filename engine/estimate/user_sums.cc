#include "engine/estimate/user_sums.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/estimate/bootstrap.h"
#include "kernels/base/check.h"
#include "kernels/base/hash.h"

namespace alm {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
// Cells that ranks add at once: bounds what a sum over ranks holds beside the sums.
constexpr int64_t kReducedCells = int64_t{1} << 18;

}  // namespace

io::Json to_json(const MeanEstimate& estimate) {
  io::Json json;
  json["mean"] = io::number(estimate.mean);
  json["se"] = io::number(estimate.se);
  json["ci95"] = nullptr;
  if (std::isfinite(estimate.se)) {
    const auto ci = estimate.ci95();
    json["ci95"] = {ci[0], ci[1]};
  }
  json["weight"] = io::number(estimate.weight);
  json["touches"] = estimate.touches;
  if (!std::isfinite(estimate.mean)) json["why"] = "no rows to average";
  return json;
}

GroupedSums::GroupedSums(int64_t clusters, int64_t groups)
    : clusters_(clusters),
      groups_(groups),
      rows_(static_cast<size_t>(groups > 1 ? clusters : 0)),
      alone_(static_cast<size_t>(groups > 1 ? 0 : clusters)),
      touches_(static_cast<size_t>(clusters)) {
  ALM_CHECK(clusters >= 1 && groups >= 1 && groups <= int64_t{1} << 16);
}

GroupedSums::GroupedSums(int64_t clusters) : GroupedSums(clusters, user_group_count(clusters)) {}

GroupedSums::Cell& GroupedSums::cell(int64_t cluster, int64_t group) {
  if (groups_ == 1) return alone_[static_cast<size_t>(cluster)];
  Row& row = rows_[static_cast<size_t>(cluster)];
  if (row.groups.empty() && !row.cells.empty()) return row.cells[static_cast<size_t>(group)];
  const auto place = std::lower_bound(row.groups.begin(), row.groups.end(), group);
  const auto at = place - row.groups.begin();
  if (place != row.groups.end() && *place == group) return row.cells[static_cast<size_t>(at)];
  // A row with an eighth of its groups is soon one with all of them: no search from then on.
  if (static_cast<int64_t>(row.groups.size()) >= groups_ / 8) {
    std::vector<Cell> all(static_cast<size_t>(groups_));
    for (size_t i = 0; i < row.groups.size(); ++i) all[row.groups[i]] = row.cells[i];
    row.cells = std::move(all);
    row.groups = {};
    return row.cells[static_cast<size_t>(group)];
  }
  row.groups.insert(place, static_cast<uint16_t>(group));
  return *row.cells.insert(row.cells.begin() + at, Cell());
}

const GroupedSums::Cell* GroupedSums::find(int64_t cluster, int64_t group) const {
  if (groups_ == 1) return &alone_[static_cast<size_t>(cluster)];
  const Row& row = rows_[static_cast<size_t>(cluster)];
  if (row.groups.empty()) {
    return row.cells.empty() ? nullptr : &row.cells[static_cast<size_t>(group)];
  }
  const auto place = std::lower_bound(row.groups.begin(), row.groups.end(), group);
  if (place == row.groups.end() || *place != group) return nullptr;
  return &row.cells[static_cast<size_t>(place - row.groups.begin())];
}

void GroupedSums::prefetch(int64_t cluster, uint64_t user) const {
  if (groups_ == 1) return __builtin_prefetch(&alone_[static_cast<size_t>(cluster)], 1);
  const Row& row = rows_[static_cast<size_t>(cluster)];
  if (!row.groups.empty() || row.cells.empty()) return;  // still to be searched
  __builtin_prefetch(&row.cells[static_cast<size_t>(user_group(user, groups_))], 1);
}

void GroupedSums::add_ratio(int64_t cluster, uint64_t user, double numerator, double denominator) {
  ALM_CHECK(cluster >= 0 && cluster < clusters_ && denominator >= 0);
  Cell& to = cell(cluster, user_group(user, groups_));
  to.sum.add(numerator);
  to.weight.add(denominator);
  if (denominator > 0) ++touches_[static_cast<size_t>(cluster)];
}

void GroupedSums::add_cells(int64_t to, const GroupedSums& from, int64_t cluster) {
  const std::span<const Cell> cells = from.cells_of(cluster);
  for (size_t at = 0; at < cells.size(); ++at) {
    const Cell& more = cells[at];
    if (more.sum == FixedSum() && more.weight == FixedSum()) continue;
    Cell& sums = cell(to, from.group_at(cluster, at));
    sums.sum.add(more.sum);
    sums.weight.add(more.weight);
  }
  touches_[static_cast<size_t>(to)] += from.touches(cluster);
}

void GroupedSums::merge(const GroupedSums& other) {
  ALM_CHECK(other.clusters_ == clusters_ && other.groups_ == groups_);
  for (int64_t k = 0; k < clusters_; ++k) add_cells(k, other, k);
}

void GroupedSums::reduce(Communicator& comm, const char* what) {
  comm.all_reduce_sum(std::span<int64_t>(touches_), what);
  if (comm.size() == 1) return;
  // Rows that no rank has are not sent.
  std::vector<int64_t> used(touches_.size());
  for (int64_t k = 0; k < clusters_; ++k) used[static_cast<size_t>(k)] = !cells_of(k).empty();
  comm.all_reduce_max(std::span<int64_t>(used), what);
  const int64_t at_once = std::max<int64_t>(1, kReducedCells / groups_);
  std::vector<int64_t> clusters;
  std::vector<FixedSum> cells;
  for (int64_t k = 0; k < clusters_; ++k) {
    if (used[static_cast<size_t>(k)] != 0) clusters.push_back(k);
    const int64_t waiting = static_cast<int64_t>(clusters.size());
    if (waiting == 0 || (waiting < at_once && k + 1 < clusters_)) continue;
    cells.assign(static_cast<size_t>(2 * waiting * groups_), FixedSum());
    for (int64_t row = 0; row < waiting; ++row) {
      const int64_t cluster = clusters[static_cast<size_t>(row)];
      const std::span<const Cell> from = cells_of(cluster);
      FixedSum* to = cells.data() + 2 * row * groups_;
      for (size_t at = 0; at < from.size(); ++at) {
        const int64_t group = group_at(cluster, at);
        to[2 * group] = from[at].sum;
        to[2 * group + 1] = from[at].weight;
      }
    }
    comm.all_reduce_sum(std::span<FixedSum>(cells), what);
    for (int64_t row = 0; row < waiting; ++row) {
      const int64_t cluster = clusters[static_cast<size_t>(row)];
      const FixedSum* from = cells.data() + 2 * row * groups_;
      for (int64_t group = 0; group < groups_; ++group) {
        const Cell total{from[2 * group], from[2 * group + 1]};
        if (total.sum == FixedSum() && total.weight == FixedSum() && !find(cluster, group)) {
          continue;
        }
        cell(cluster, group) = total;
      }
    }
    clusters.clear();
  }
}

double GroupedSums::sum(int64_t cluster, int64_t group) const {
  const Cell* const found = find(cluster, group);
  return found ? found->sum.value() : 0;
}

double GroupedSums::weight(int64_t cluster, int64_t group) const {
  const Cell* const found = find(cluster, group);
  return found ? found->weight.value() : 0;
}

double GroupedSums::sum(int64_t cluster) const {
  FixedSum total;
  for (const Cell& cell : cells_of(cluster)) total.add(cell.sum);
  return total.value();
}

double GroupedSums::weight(int64_t cluster) const {
  FixedSum total;
  for (const Cell& cell : cells_of(cluster)) total.add(cell.weight);
  return total.value();
}

MeanEstimate GroupedSums::estimate(int64_t cluster) const {
  MeanEstimate result;
  result.weight = weight(cluster);
  result.touches = touches(cluster);
  if (!(result.weight > 0)) {
    result.mean = result.se = kNone;
    return result;
  }
  result.mean = sum(cluster) / result.weight;
  double squares = 0;
  int64_t groups = 0;
  each_group(cluster, [&](int64_t, double sum_g, double weight_g) {
    const double residual = sum_g - weight_g * result.mean;
    squares += residual * residual;
    groups += weight_g > 0 || sum_g != 0;
  });
  // One group alone lies on its own mean: that is no error of 0 but none known.
  result.se = groups > 1 ? std::sqrt(squares) / result.weight : kNone;
  return result;
}

MeanEstimate GroupedSums::overall() const {
  GroupedSums one(1, groups_);
  for (int64_t k = 0; k < clusters_; ++k) one.add_cells(0, *this, k);
  return one.estimate(0);
}

MeanEstimate contrast(const GroupedSums& a, int64_t cluster_a, const GroupedSums& b,
                      int64_t cluster_b) {
  ALM_CHECK(a.groups() == b.groups());
  const double weight_a = a.weight(cluster_a);
  const double weight_b = b.weight(cluster_b);
  MeanEstimate result;
  result.weight = weight_a;
  result.touches = a.touches(cluster_a);
  if (!(weight_a > 0 && weight_b > 0)) {
    result.mean = result.se = kNone;
    return result;
  }
  const double mean_a = a.sum(cluster_a) / weight_a;
  const double mean_b = b.sum(cluster_b) / weight_b;
  result.mean = mean_a - mean_b;
  double squares = 0;
  for (int64_t g = 0; g < a.groups(); ++g) {
    const double residual = (a.sum(cluster_a, g) - a.weight(cluster_a, g) * mean_a) / weight_a -
                            (b.sum(cluster_b, g) - b.weight(cluster_b, g) * mean_b) / weight_b;
    squares += residual * residual;
  }
  result.se = std::sqrt(squares);
  return result;
}

MeanEstimate contrast_with_rest(const GroupedSums& touched, int64_t cluster,
                                const GroupedSums& all) {
  ALM_CHECK(touched.groups() == all.groups() && all.clusters() == 1);
  const double weight = touched.weight(cluster);
  const double rest_weight = all.weight(0) - weight;
  MeanEstimate result;
  result.weight = weight;
  result.touches = touched.touches(cluster);
  if (!(weight > 0 && rest_weight > 0)) {
    result.mean = result.se = kNone;
    return result;
  }
  const double mean = touched.sum(cluster) / weight;
  const double rest_mean = (all.sum(0) - touched.sum(cluster)) / rest_weight;
  result.mean = mean - rest_mean;
  double squares = 0;
  for (int64_t g = 0; g < all.groups(); ++g) {
    const double sum_g = touched.sum(cluster, g);
    const double weight_g = touched.weight(cluster, g);
    const double residual =
        (sum_g - weight_g * mean) / weight -
        (all.sum(0, g) - sum_g - (all.weight(0, g) - weight_g) * rest_mean) / rest_weight;
    squares += residual * residual;
  }
  result.se = std::sqrt(squares);
  return result;
}

DistinctUsers::DistinctUsers(int64_t clusters)
    : DistinctUsers(clusters,
                    std::clamp((int64_t{1} << 21) / clusters, int64_t{1024}, int64_t{1} << 17)) {}

DistinctUsers::DistinctUsers(int64_t clusters, int64_t limit)
    : limit_(limit),
      smallest_(static_cast<size_t>(clusters)),
      bound_(static_cast<size_t>(clusters), std::numeric_limits<uint64_t>::max()),
      counts_(static_cast<size_t>(clusters)),
      exact_(static_cast<size_t>(clusters), 1) {}

// The hash is a bijection of user ids, so different users never count as one.
void DistinctUsers::add(int64_t cluster, uint64_t user) {
  insert(cluster, hash(user, Salt::owner));
}

void DistinctUsers::insert(int64_t cluster, uint64_t word) {
  const size_t k = static_cast<size_t>(cluster);
  if (word > bound_[k]) return;
  smallest_[k].push_back(word);
  if (static_cast<int64_t>(smallest_[k].size()) >= 2 * limit_ + 64) compact(cluster);
}

// Keeps limit + 1 words: the one above the limit tells that there are more.
void DistinctUsers::compact(int64_t cluster) {
  const size_t k = static_cast<size_t>(cluster);
  auto& words = smallest_[k];
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  if (static_cast<int64_t>(words.size()) > limit_) {
    words.resize(static_cast<size_t>(limit_) + 1);
    bound_[k] = words.back();
  }
}

void DistinctUsers::merge(const DistinctUsers& other) {
  ALM_CHECK(other.smallest_.size() == smallest_.size());
  for (size_t k = 0; k < smallest_.size(); ++k) {
    for (const uint64_t word : other.smallest_[k]) insert(static_cast<int64_t>(k), word);
  }
}

void DistinctUsers::reduce(Communicator& comm, const char* what) {
  const int64_t clusters = static_cast<int64_t>(smallest_.size());
  const int64_t size = comm.size();
  // To the owner of cluster k (rank k % size): k, number of words, words.
  std::vector<std::vector<std::byte>> send(static_cast<size_t>(size));
  for (int64_t k = 0; k < clusters; ++k) {
    compact(k);
    const auto& words = smallest_[static_cast<size_t>(k)];
    auto& out = send[static_cast<size_t>(k % size)];
    const uint64_t header[2] = {static_cast<uint64_t>(k), words.size()};
    const auto head = std::as_bytes(std::span(header));
    const auto body = std::as_bytes(std::span(words));
    out.insert(out.end(), head.begin(), head.end());
    out.insert(out.end(), body.begin(), body.end());
  }
  const auto received = comm.all_to_all_v(send, what);
  for (const auto& from : received) {
    size_t at = 0;
    while (at < from.size()) {
      uint64_t header[2];
      std::memcpy(header, from.data() + at, sizeof header);
      at += sizeof header;
      for (uint64_t i = 0; i < header[1]; ++i, at += sizeof(uint64_t)) {
        uint64_t word;
        std::memcpy(&word, from.data() + at, sizeof word);
        insert(static_cast<int64_t>(header[0]), word);
      }
    }
  }
  for (int64_t k = 0; k < clusters; ++k) {
    const size_t index = static_cast<size_t>(k);
    counts_[index] = exact_[index] = 0;
    if (k % size != comm.rank()) continue;
    compact(k);
    const auto& words = smallest_[index];
    exact_[index] = static_cast<int64_t>(words.size()) <= limit_;
    counts_[index] = static_cast<int64_t>(words.size());
    if (!exact_[index]) {
      const double share = static_cast<double>(words[static_cast<size_t>(limit_) - 1]) * 0x1p-64;
      counts_[index] = std::llround(static_cast<double>(limit_ - 1) / share);
    }
  }
  comm.all_reduce_sum(std::span<int64_t>(counts_), what);
  comm.all_reduce_sum(std::span<int64_t>(exact_), what);
}

}  // namespace alm
