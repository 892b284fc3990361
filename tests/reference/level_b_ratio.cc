#include "tests/reference/level_b_ratio.h"

#include <cmath>
#include <random>

namespace alm::reference {

LevelBRatio::LevelBRatio(LevelBEnumeration::Clusters clusters, double confounding, int64_t draws)
    : clusters_(std::move(clusters)), confounding_(confounding) {
  std::mt19937_64 bits(20260101);
  std::normal_distribution<double> normal;
  for (int64_t draw = 0; draw < draws; ++draw) {
    const double first = normal(bits);
    draws_.push_back(at({first, normal(bits)}));
  }
}

LevelBRatio::Context LevelBRatio::at(std::array<double, 2> x) const {
  Context context;
  context.x = x;
  context.p_u[1] = 1 / (1 + std::exp(0.5 - 0.5 * x[0]));
  context.p_u[0] = 1 - context.p_u[1];
  for (size_t u = 0; u < 2; ++u) {
    const double sign = static_cast<double>(u);
    context.survival[u] = std::exp(-std::exp(-2.8 + 0.4 * x[1] + 1.8 * sign));
    double total = 0;
    for (size_t k = 0; k < clusters_.popularity.size(); ++k) {
      const double match = clusters_.taste0[k] * x[0] + clusters_.taste1[k] * x[1];
      const double weight = match < -1.2
                                ? 0
                                : clusters_.popularity[k] *
                                      std::exp(match + confounding_ * sign * clusters_.affinity[k]);
      context.p[u].push_back(weight);
      total += weight;
    }
    for (double& p : context.p[u]) p /= total;
    context.total[u] = total;
  }
  return context;
}

double LevelBRatio::p_touches(const Context& context, std::span<const int64_t> touches) {
  std::array<double, 2> product = context.p_u;
  for (const int64_t k : touches) {
    for (size_t u = 0; u < 2; ++u) product[u] *= context.p[u][static_cast<size_t>(k)];
  }
  return product[0] + product[1];
}

double LevelBRatio::p_touches(std::span<const int64_t> touches) const {
  double sum = 0;
  for (const Context& context : draws_) sum += p_touches(context, touches);
  return sum / static_cast<double>(draws_.size());
}

double LevelBRatio::h(const Context& context, std::span<const int64_t> touches) const {
  // What is never shown to x is so for both u, and drops out of P(u | T, x).
  std::array<double, 2> product = context.p_u;
  for (const int64_t k : touches) {
    product[0] /= context.total[0];
    product[1] *=
        std::exp(confounding_ * clusters_.affinity[static_cast<size_t>(k)]) / context.total[1];
  }
  return (product[0] * context.survival[0] + product[1] * context.survival[1]) /
         (product[0] + product[1]);
}

double pearson(std::span<const double> left, std::span<const double> right) {
  double sums[5] = {0, 0, 0, 0, 0};
  const double n = static_cast<double>(left.size());
  for (size_t at = 0; at < left.size(); ++at) {
    sums[0] += left[at] / n;
    sums[1] += right[at] / n;
  }
  for (size_t at = 0; at < left.size(); ++at) {
    const double l = left[at] - sums[0], r = right[at] - sums[1];
    sums[2] += l * l;
    sums[3] += r * r;
    sums[4] += l * r;
  }
  return sums[4] / std::sqrt(sums[2] * sums[3]);
}

}  // namespace alm::reference
