#include "tests/reference/rate_by_definition.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace alm::reference {

RateAreas rate_by_definition(std::span<const double> priority, std::span<const double> value) {
  const size_t n = value.size();
  std::vector<double> tied(n);
  for (size_t i = 0; i < n; ++i) {
    double sum = 0, count = 0;
    for (size_t other = 0; other < n; ++other) {
      if (priority[other] != priority[i]) continue;
      sum += value[other];
      ++count;
    }
    tied[i] = sum / count;
  }
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return priority[a] > priority[b]; });
  double mean = 0;
  for (const double one : value) mean += one / static_cast<double>(n);
  RateAreas areas{0, 0};
  for (size_t j = 1; j <= n; ++j) {
    double first = 0;
    for (size_t i = 0; i < j; ++i) first += tied[order[i]];
    const double toc = first / static_cast<double>(j) - mean;
    areas.autoc += toc / static_cast<double>(n);
    areas.qini += static_cast<double>(j) / static_cast<double>(n) * toc / static_cast<double>(n);
  }
  return areas;
}

}  // namespace alm::reference
