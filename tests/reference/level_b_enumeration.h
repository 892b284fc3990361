// Method 8.2 by brute enumeration over u, every mediator vector and, where asked, every sequence.
// Only the clusters' parameters come from outside; no formula of engine/simulate is used.
#pragma once

#include <array>
#include <vector>

namespace alm::reference {

class LevelBEnumeration {
 public:
  struct Clusters {
    std::vector<double> popularity, taste0, taste1, affinity, intercept, potency;
  };
  struct Switches {
    double confounding = 1.2, u_to_m = 0, direct = 0;
    bool rare = false;
  };
  LevelBEnumeration(Clusters clusters, Switches switches, std::array<double, 2> x);

  double p_u(int u) const;               // P(u | x)
  double p_cluster(int k, int u) const;  // P(k | x, u)
  double p_sequence(const std::vector<int>& touches, int u) const;
  double p_u_given(int u, const std::vector<int>& touches) const;  // P(u | T, x)
  // P(Y=0 | touches shown, u, x), all 2^L mediator vectors weighed by their probabilities.
  double survival(const std::vector<int>& touches, int u) const;
  // P(Y=0 | u, x) without touches.
  double base_survival(int u) const;

  double p_do(const std::vector<int>& touches) const;    // P(Y=1 | do(T), x)
  double p_seen(const std::vector<int>& touches) const;  // P(Y=1 | T, x)
  double delta_do(const std::vector<int>& touches, int j) const;
  double delta_ett(const std::vector<int>& touches, int j) const;
  // All touches of cluster k deleted, among those who had them.
  double delta_removal(const std::vector<int>& touches, int k) const;
  double lambda() const;  // sum_u P(u|x) exp(-lambda(x,u))
  // E[H(T',x) | x] over all sequences of `length`, H = sum_u P(u|T',x) exp(-lambda(x,u)).
  double mean_h(int length) const;

 private:
  double taste(int k) const;
  Clusters clusters_;
  Switches switches_;
  std::array<double, 2> x_;
};

}  // namespace alm::reference
