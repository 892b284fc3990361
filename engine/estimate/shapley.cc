#include <cmath>
#include <map>
#include <mutex>

#include "engine/estimate/sequence_scorer.h"

namespace alm {
namespace {

// Newton's method on the Legendre polynomial, from the classical start values.
Quadrature make_quadrature(int64_t nodes) {
  Quadrature rule;
  for (int64_t node = 0; node < nodes; ++node) {
    double x = std::cos(3.14159265358979323846 * (static_cast<double>(node) + 0.75) /
                        (static_cast<double>(nodes) + 0.5));
    double derivative = 1;
    for (int round = 0; round < 100; ++round) {
      double previous = 1;
      double value = x;
      for (int64_t degree = 2; degree <= nodes; ++degree) {
        const double k = static_cast<double>(degree);
        const double next = ((2 * k - 1) * x * value - (k - 1) * previous) / k;
        previous = value;
        value = next;
      }
      derivative = static_cast<double>(nodes) * (x * value - previous) / (x * x - 1);
      const double move = value / derivative;
      x -= move;
      if (std::fabs(move) < 1e-16) break;
    }
    rule.nodes.push_back(0.5 * (1 - x));
    rule.weights.push_back(1 / ((1 - x * x) * derivative * derivative));
  }
  return rule;
}

}  // namespace

const Quadrature& gauss_legendre(int64_t nodes) {
  static std::map<int64_t, Quadrature> rules;
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  const auto found = rules.find(nodes);
  if (found != rules.end()) return found->second;
  return rules.emplace(nodes, make_quadrature(nodes)).first->second;
}

void shapley_values(double scale, const std::vector<double>& a, std::vector<double>& values) {
  const size_t count = a.size();
  values.assign(count, 0.0);
  if (count == 0) return;
  const Quadrature& rule = gauss_legendre(static_cast<int64_t>(count + 1) / 2);
  for (size_t node = 0; node < rule.nodes.size(); ++node) {
    const double t = rule.nodes[node];
    for (size_t touch = 0; touch < count; ++touch) {
      double others = 1;
      for (size_t other = 0; other < count; ++other) {
        if (other != touch) others *= 1 - t * a[other];
      }
      values[touch] += rule.weights[node] * others;
    }
  }
  for (size_t touch = 0; touch < count; ++touch) values[touch] *= scale * a[touch];
}

}  // namespace alm
