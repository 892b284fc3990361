// The choice of rows that take part in a stream.
#include "io/stream_crew.h"

#include <numeric>

#include "kernels/base/clock.h"

namespace alm::io {

void select_rows(const Journeys& block, const UserFilter& filter, std::vector<int64_t>& selected) {
  const PhaseTimer timer(thread_phases().batch);
  if (!filter) {
    selected.resize(static_cast<size_t>(block.size()));
    std::iota(selected.begin(), selected.end(), 0);
    return;
  }
  selected.clear();
  for (int64_t row = 0; row < block.size(); ++row) {
    if (filter(block.user[static_cast<size_t>(row)])) selected.push_back(row);
  }
}

}  // namespace alm::io
