// Journeys on whom the critic checks Lambda (method 2.5): about as many as the check takes, drawn
// by a hash of their row, so that it is the same ones for any number of ranks and threads.
#pragma once

#include <vector>

#include "engine/estimate/coordinator.h"
#include "engine/model/alm_mta.h"

namespace alm {

// Journeys that are weighted together, and fewest that are.
inline constexpr int64_t kCriticGroupOfEstimates = 1024;
inline constexpr int64_t kLeastCriticGroup = 256;

// One of them, encoded on its own: its numbers do not depend on what was encoded beside.
struct CriticJourney {
  uint64_t place = 0;  // hash of its row: groups are cut in this order
  int64_t row = 0;
  uint64_t user = 0;
  double weight = 1;
  double second_stage = 0;              // Lambda(X)
  double truth = 0;                     // true Lambda; NaN where not known
  std::vector<float> x, y;              // [critic_width] sides of the critic
  std::vector<float> touches, context;  // [confounding_hidden] halves of h
  std::vector<int64_t> clusters;        // distinct, ascending

  std::vector<std::byte> packed() const;
  static CriticJourney unpack(std::span<const std::byte>& from);
};

// Share of the scored journeys that is drawn: some 16 groups' worth of them, fewer where the
// confounding head is so wide that pairs cost much.
double critic_share(const ScoredUsers& users, int64_t log_rows, const ModelOptions& options);

// One per thread and fold.
class CriticSample {
 public:
  CriticSample(const AlmMta& model, const ModelWeights& weights, Compute& compute, double share)
      : model_(model), weights_(weights), compute_(compute), share_(share) {}
  void add(const io::Journeys& journeys, int64_t thread);
  std::vector<CriticJourney> take() { return std::move(journeys_); }

 private:
  const AlmMta& model_;
  const ModelWeights& weights_;
  Compute& compute_;
  double share_;
  io::Journeys one_;
  std::vector<CriticJourney> journeys_;
};

// COLLECTIVE. Those of all ranks, in the order of their places.
std::vector<CriticJourney> gather(std::vector<CriticJourney> mine, Communicator& world);

}  // namespace alm
