#include "engine/estimate/code_monitor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/base/logistic.h"

namespace alm {
namespace {

double variance_of(double weight, double sum, double squares) {
  const double mean = sum / weight;
  return std::max(squares / weight - mean * mean, 0.0);
}

// Sum of the variances of the code's numbers.
double variance_of_code(const CodeMonitor& code) {
  double total = 0;
  for (size_t c = 0; c < code.code.size(); ++c) {
    total += variance_of(code.sum(CodeMonitor::kWeight), code.code[c].value(),
                         code.code_squares[c].value());
  }
  return total;
}

}  // namespace

double CodeMonitor::variance() const {
  return variance_of(sum(kWeight), sum(kValue), sum(kValueSquares));
}

double CodeMonitor::cluster_share(const GroupedSums& touches_of) const {
  double between = 0;
  for (int64_t k = 0; k < touches_of.clusters(); ++k) {
    const double weight = touches_of.weight(k);
    if (!(weight > 0)) continue;
    const double apart = by_cluster.sum[static_cast<size_t>(k)].value() / weight - mean();
    between += weight * apart * apart;
  }
  return between / sum(kWeight) / variance();
}

double CodeMonitor::variance_share(const GroupedSums& touches_of) const {
  const double fitted = sum(kOffLaw) / sum(kWeight) / variance();
  return std::min(fitted, 1 - cluster_share(touches_of));
}

void CodeMonitor::add(const io::Journeys& from, const ProxyScores& scores, size_t journey,
                      double weight) {
  const size_t begin = static_cast<size_t>(from.touch_begin[journey]);
  const size_t end = static_cast<size_t>(from.touch_begin[journey + 1]);
  if (begin == end) return;
  const bool outcome = from.outcome[journey] > 0;
  const size_t width = code.size();
  double loss = 0;
  for (size_t j = begin; j < end; ++j) {
    const double value = scores.value[j];
    loss += softplus(outcome ? -scores.discriminator[j] : scores.discriminator[j]);
    sums[kWeight].add(weight);
    sums[kValue].add(weight * value);
    sums[kValueSquares].add(weight * value * value);
    if (!scores.law.empty()) {
      sums[kOffLaw].add(weight * (value - scores.law[j]) * (value - scores.law[j]));
    }
    by_cluster.add(from.cluster[j], value, weight);
    for (size_t c = 0; c < width; ++c) {
      const double number = double{scores.code[j * width + c]};
      code[c].add(weight * number);
      code_squares[c].add(weight * number * number);
    }
    ++touches;
    const float match = from.match.empty() ? NAN : from.match[j];
    if (std::isnan(match)) continue;
    ++matches;
    matches_without_outcome += !outcome;
    sums[kMatch].add(weight * double{match});
    sums[kMatchWeight].add(weight);
    const float matched = match >= ProxyInputs::kMatched ? 1.0f : 0.0f;
    match_by_value.add(static_cast<float>(value), matched, weight);
    if (!scores.law.empty()) {
      match_by_law.add(static_cast<float>(scores.law[j]), matched, weight);
    }
  }
  sums[kDiscriminatorLoss].add(weight * loss / static_cast<double>(end - begin));
  sums[kJourneyWeight].add(weight);
  if (outcome) sums[kJourneyOutcome].add(weight);
}

void CodeMonitor::merge(CodeMonitor&& other) {
  for (size_t at = 0; at < sums.size(); ++at) sums[at].add(other.sums[at]);
  touches += other.touches;
  matches += other.matches;
  matches_without_outcome += other.matches_without_outcome;
  by_cluster.merge(other.by_cluster);
  for (size_t c = 0; c < code.size(); ++c) {
    code[c].add(other.code[c]);
    code_squares[c].add(other.code_squares[c]);
  }
  match_by_value.merge(std::move(other.match_by_value));
  match_by_law.merge(std::move(other.match_by_law));
}

void CodeMonitor::reduce(Communicator& world) {
  world.all_reduce_sum(std::span<FixedSum>(sums), "code");
  int64_t counts[3] = {touches, matches, matches_without_outcome};
  world.all_reduce_sum(std::span<int64_t>(counts), "matches");
  touches = counts[0];
  matches = counts[1];
  matches_without_outcome = counts[2];
  by_cluster.reduce(world, "code by cluster");
  world.all_reduce_sum(std::span(code), "code");
  world.all_reduce_sum(std::span(code_squares), "code");
  match_by_value.reduce(world, "matches by the code");
  match_by_law.reduce(world, "matches without the code");
}

io::Json to_json(const CodeMonitor& code, const GroupedSums& touches, bool has_law) {
  const double journeys = code.sum(CodeMonitor::kJourneyWeight);
  const double match = code.sum(CodeMonitor::kMatch);
  const double share = code.cluster_share(touches);
  io::Json json{
      {"discriminator_loss", io::number(code.sum(CodeMonitor::kDiscriminatorLoss) / journeys)},
      {"entropy_floor",
       io::number(binary_entropy(code.sum(CodeMonitor::kJourneyOutcome) / journeys))},
      {"discriminator_note",
       "a loss at the floor shows neither a sound code nor sound scores: it is near it, or above, "
       "whatever they are worth"},
      {"code_variance", io::number(variance_of_code(code))},
      {"value_mean", io::number(code.mean())},
      {"value_variance", io::number(code.variance())},
      {"value_cluster_share", io::number(share)},
      {"cluster_information", io::number(-0.5 * std::log1p(-share))},
      {"cluster_information_note",
       "stand-in for I(code; T) in nats: what a Gaussian with this share of its variance between "
       "clusters tells of the cluster"},
      {"match_mean", io::number(match / code.sum(CodeMonitor::kMatchWeight))},
      {"match_mean_filled", io::number(match / code.sum(CodeMonitor::kWeight))},
      {"match_mean_filled_note",
       "what the code would have been taught, were an undefined match read as 0"},
      {"match_defined_share",
       io::number(static_cast<double>(code.matches) / static_cast<double>(code.touches))},
      {"match_without_outcome_share", io::number(static_cast<double>(code.matches_without_outcome) /
                                                 static_cast<double>(code.matches))}};
  put_metric(json, "match_auc", code.match_by_value.finish().auc);
  put_metric(json, "match_auc_without_code",
             has_law ? code.match_by_law.finish().auc
                     : Metric{{},
                              "the code is a function of touches and context: without it they "
                              "tell the same"});
  return json;
}

}  // namespace alm
