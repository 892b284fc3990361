#include "engine/estimate/cluster_totals.h"

#include <span>

namespace alm {

void ClusterTotals::merge(const ClusterTotals& other) {
  for (size_t at = 0; at < sum.size(); ++at) {
    sum[at].add(other.sum[at]);
    count[at] += other.count[at];
  }
}

void ClusterTotals::reduce(Communicator& world, const char* what) {
  world.all_reduce_sum(std::span(sum), what);
  world.all_reduce_sum(std::span(count), what);
}

void WeightTotals::merge(const WeightTotals& other) {
  ClusterTotals::merge(other);
  for (size_t at = 0; at < squares.size(); ++at) squares[at].add(other.squares[at]);
}

void WeightTotals::reduce(Communicator& world, const char* what) {
  ClusterTotals::reduce(world, what);
  world.all_reduce_sum(std::span(squares), what);
}

double WeightTotals::effective_sample(int64_t cluster) const {
  const size_t at = static_cast<size_t>(cluster);
  const double weight = sum[at].value();
  const double of_squares = squares[at].value();
  return of_squares > 0 ? weight * weight / of_squares : 0;
}

}  // namespace alm
