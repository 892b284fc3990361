#include "engine/estimate/cluster_totals.h"

#include <span>

namespace alm {

void ClusterTotals::merge(const ClusterTotals& other) {
  for (size_t at = 0; at < sum.size(); ++at) {
    sum[at].add(other.sum[at]);
    squares[at].add(other.squares[at]);
    count[at] += other.count[at];
  }
}

void ClusterTotals::reduce(Communicator& world, const char* what) {
  world.all_reduce_sum(std::span(sum), what);
  world.all_reduce_sum(std::span(squares), what);
  world.all_reduce_sum(std::span(count), what);
}

}  // namespace alm
