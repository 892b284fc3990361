#include "kernels/base/nearest_name.h"

#include <algorithm>
#include <cstdint>

namespace alm {

namespace {

// Least number of inserted, dropped, changed or swapped letters.
int64_t edit_distance(const std::string& from, const std::string& to) {
  std::vector<std::vector<int64_t>> cost(from.size() + 1, std::vector<int64_t>(to.size() + 1));
  for (size_t i = 0; i <= from.size(); ++i) {
    for (size_t j = 0; j <= to.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = static_cast<int64_t>(i + j);
        continue;
      }
      const bool same = from[i - 1] == to[j - 1];
      cost[i][j] =
          std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[from.size()][to.size()];
}

}  // namespace

std::string nearest_name(const std::string& name, const std::vector<std::string>& known) {
  std::string nearest;
  constexpr size_t kLongest = 100;  // nobody meant a longer one
  if (name.size() > kLongest) return nearest;
  int64_t least = 1 + std::max<int64_t>(1, static_cast<int64_t>(name.size()) / 3);
  for (const std::string& candidate : known) {
    // A beginning of a name is a better guess than any misspelling.
    const bool begins = name.size() >= 3 && candidate.compare(0, name.size(), name) == 0;
    const int64_t distance = begins ? 0 : edit_distance(name, candidate);
    if (distance < least) least = distance, nearest = candidate;
  }
  return nearest;
}

}  // namespace alm
