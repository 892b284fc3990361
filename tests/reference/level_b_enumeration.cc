#include "tests/reference/level_b_enumeration.h"

#include <cmath>
#include <utility>

namespace alm::reference {
namespace {

double logistic(double z) {
  return std::exp(z) / (1 + std::exp(z));
}

std::vector<int> without(std::vector<int> touches, int j) {
  touches.erase(touches.begin() + j);
  return touches;
}

}  // namespace

LevelBEnumeration::LevelBEnumeration(Clusters clusters, Switches switches, std::array<double, 2> x)
    : clusters_(std::move(clusters)), switches_(switches), x_(x) {}

double LevelBEnumeration::taste(int k) const {
  const size_t i = static_cast<size_t>(k);
  return clusters_.taste0[i] * x_[0] + clusters_.taste1[i] * x_[1];
}

double LevelBEnumeration::p_u(int u) const {
  const double one = logistic(-0.5 + 0.5 * x_[0]);
  return u == 1 ? one : 1 - one;
}

double LevelBEnumeration::p_cluster(int k, int u) const {
  double sum = 0, mine = 0;
  for (int other = 0; other < static_cast<int>(clusters_.popularity.size()); ++other) {
    const size_t i = static_cast<size_t>(other);
    if (taste(other) < -1.2) continue;
    const double weight =
        clusters_.popularity[i] *
        std::exp(taste(other) + switches_.confounding * u * clusters_.affinity[i]);
    sum += weight;
    if (other == k) mine = weight;
  }
  return mine / sum;
}

double LevelBEnumeration::p_sequence(const std::vector<int>& touches, int u) const {
  double product = 1;
  for (const int k : touches) product *= p_cluster(k, u);
  return product;
}

double LevelBEnumeration::p_u_given(int u, const std::vector<int>& touches) const {
  const double zero = p_u(0) * p_sequence(touches, 0), one = p_u(1) * p_sequence(touches, 1);
  return (u == 1 ? one : zero) / (zero + one);
}

double LevelBEnumeration::base_survival(int u) const {
  return std::exp(-std::exp((switches_.rare ? -5.0 : -2.8) + 0.4 * x_[1] + 1.8 * u));
}

double LevelBEnumeration::survival(const std::vector<int>& touches, int u) const {
  const int length = static_cast<int>(touches.size());
  double sum = 0;
  for (int mediators = 0; mediators < (1 << length); ++mediators) {
    double probability = 1, alive = base_survival(u);
    for (int j = 0; j < length; ++j) {
      const int k = touches[static_cast<size_t>(j)];
      const size_t i = static_cast<size_t>(k);
      int earlier = 0;
      for (int l = 0; l < j; ++l) earlier += touches[static_cast<size_t>(l)] == k;
      const double p = logistic(-1 + 0.3 * taste(k) + 0.6 * clusters_.intercept[i] - 0.5 * earlier +
                                switches_.u_to_m * u);
      const bool m = (mediators >> j) & 1;
      probability *= m ? p : 1 - p;
      if (m) alive *= 1 - clusters_.potency[i];
      if (clusters_.affinity[i] > 1) alive *= 1 - switches_.direct;
    }
    sum += probability * alive;
  }
  return sum;
}

double LevelBEnumeration::p_do(const std::vector<int>& touches) const {
  return 1 - p_u(0) * survival(touches, 0) - p_u(1) * survival(touches, 1);
}

double LevelBEnumeration::p_seen(const std::vector<int>& touches) const {
  return 1 - p_u_given(0, touches) * survival(touches, 0) -
         p_u_given(1, touches) * survival(touches, 1);
}

double LevelBEnumeration::delta_do(const std::vector<int>& touches, int j) const {
  return p_do(touches) - p_do(without(touches, j));
}

double LevelBEnumeration::delta_ett(const std::vector<int>& touches, int j) const {
  double sum = 0;
  for (int u = 0; u < 2; ++u) {
    sum += p_u_given(u, touches) * (survival(without(touches, j), u) - survival(touches, u));
  }
  return sum;
}

double LevelBEnumeration::delta_removal(const std::vector<int>& touches, int k) const {
  std::vector<int> left;
  for (const int touch : touches) {
    if (touch != k) left.push_back(touch);
  }
  double sum = 0;
  for (int u = 0; u < 2; ++u) {
    sum += p_u_given(u, touches) * (survival(left, u) - survival(touches, u));
  }
  return sum;
}

double LevelBEnumeration::lambda() const {
  return p_u(0) * base_survival(0) + p_u(1) * base_survival(1);
}

double LevelBEnumeration::mean_h(int length) const {
  const int clusters = static_cast<int>(clusters_.popularity.size());
  std::vector<int> touches(static_cast<size_t>(length), 0);
  double sum = 0;
  while (true) {
    const double mass = p_u(0) * p_sequence(touches, 0) + p_u(1) * p_sequence(touches, 1);
    if (mass > 0) {
      sum += mass *
             (p_u_given(0, touches) * base_survival(0) + p_u_given(1, touches) * base_survival(1));
    }
    size_t place = 0;
    while (place < touches.size() && ++touches[place] == clusters) touches[place++] = 0;
    if (place == touches.size()) return sum;
  }
}

}  // namespace alm::reference
