#include "engine/estimate/removal_scorer.h"
#include "engine/estimate/row_values.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/base/logistic.h"

namespace alm {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
// An unfloored denominator can be as good as 0: such a value says nothing.
constexpr double kLargestRaw = 1e12;
// No cluster is this sure to be touched; keeps a value of the net within the order-free sums.
constexpr double kLargestOddsLogit = 12;

}  // namespace

RemovalScorer::RemovalScorer(const AlmMta& model, const ModelWeights& weights, Compute& compute)
    : model_(model), weights_(weights), compute_(compute), edits_(model, weights, compute) {}

const RemovalScores& RemovalScorer::score(const io::Journeys& journeys,
                                          const SequenceScorer& scored, int64_t thread) {
  RemovalScores& s = scores_;
  s.begin.assign(1, 0);
  for (std::vector<double>* column : {&s.plugin, &s.ratio, &s.one_step, &s.raw}) column->clear();
  s.cluster.clear();
  s.clipped.clear();
  s.touch.clear();
  s.alone.clear();
  for (int64_t journey = 0; journey < journeys.size(); ++journey) {
    const size_t i = static_cast<size_t>(journey);
    const auto first = journeys.cluster.begin() + journeys.touch_begin[i];
    const auto last = journeys.cluster.begin() + journeys.touch_begin[i + 1];
    const auto mine = static_cast<int64_t>(s.cluster.size());
    s.cluster.insert(s.cluster.end(), first, last);
    std::sort(s.cluster.begin() + mine, s.cluster.end());
    s.cluster.erase(std::unique(s.cluster.begin() + mine, s.cluster.end()), s.cluster.end());
    for (size_t pair = static_cast<size_t>(mine); pair < s.cluster.size(); ++pair) {
      s.alone.push_back(static_cast<int64_t>(s.cluster.size()) == mine + 1);
      s.touch.push_back(std::find(first, last, s.cluster[pair]) - journeys.cluster.begin());
    }
    s.begin.push_back(static_cast<int64_t>(s.cluster.size()));
  }
  run_edits(journeys, scored, thread);
  for (int64_t journey = 0; journey < journeys.size(); ++journey) {
    score_present(journeys, scored, journey);
  }
  score_absent(journeys, scored, thread);
  return s;
}

void RemovalScorer::run_edits(const io::Journeys& journeys, const SequenceScorer& scored,
                              int64_t thread) {
  edit_begin_.assign(scores_.cluster.size(), -1);
  edits_.start(journeys, scored.encoded(), thread);
  int64_t total = 0;
  for (int64_t journey = 0; journey < journeys.size(); ++journey) {
    const size_t i = static_cast<size_t>(journey);
    const auto first = journeys.cluster.begin() + journeys.touch_begin[i];
    const auto last = journeys.cluster.begin() + journeys.touch_begin[i + 1];
    for (int64_t pair = scores_.begin[i]; pair < scores_.begin[i + 1]; ++pair) {
      const uint32_t cluster = scores_.cluster[static_cast<size_t>(pair)];
      const int64_t own = std::count(first, last, cluster);
      if (own == 1) continue;
      edit_begin_[static_cast<size_t>(pair)] = total;
      total += last - first - own;
      removed_.clear();
      for (auto at = first; at != last; ++at) {
        if (*at == cluster) removed_.push_back(at - journeys.cluster.begin());
      }
      edits_.add(journey, removed_);
    }
  }
  edited_logits_ = &edits_.finish();
}

// A cluster touched once has been deleted already, as a touch.
Deletion RemovalScorer::deletion(const io::Journeys& journeys, const SequenceScorer& scored,
                                 int64_t journey, size_t pair) const {
  if (edit_begin_[pair] < 0) return scored.deletion(static_cast<size_t>(scores_.touch[pair]));
  const size_t i = static_cast<size_t>(journey);
  const JourneyHead head = scored.head(journey);
  const double* logit_without = edited_logits_->data() + edit_begin_[pair];
  Deletion deletion{.log_ratio = 0, .expected = head.unit()};
  for (int64_t at = journeys.touch_begin[i]; at < journeys.touch_begin[i + 1]; ++at) {
    const size_t touch = static_cast<size_t>(at);
    if (journeys.cluster[touch] == scores_.cluster[pair]) continue;
    const double edited = *logit_without++;
    const uint8_t m = mediator_of(journeys, touch);
    deletion.expected =
        head.join(deletion.expected, head.part(scored.potency(touch), sigmoid(edited)));
    if (m == kMediatorMissing) continue;
    deletion.log_ratio +=
        log_probability(edited, m == 1) - log_probability(scored.logit(touch), m == 1);
  }
  return deletion;
}

void RemovalScorer::score_present(const io::Journeys& journeys, const SequenceScorer& scored,
                                  int64_t journey) {
  const size_t i = static_cast<size_t>(journey);
  const size_t end = static_cast<size_t>(journeys.touch_begin[i + 1]);
  const JourneyHead head = scored.head(journey);
  const double outcome = journeys.outcome[i];
  const double mu = scored.last().predicted[i];
  for (int64_t pair = scores_.begin[i]; pair < scores_.begin[i + 1]; ++pair) {
    const size_t at = static_cast<size_t>(pair);
    const Deletion deletion = this->deletion(journeys, scored, journey, at);
    double floored = 1, log_none = 0;  // P(no own touch engaged)
    bool engaged = false, clipped = false, observed = true;
    for (size_t touch = static_cast<size_t>(scores_.touch[at]); touch < end; ++touch) {
      if (journeys.cluster[touch] != scores_.cluster[at]) continue;
      const uint8_t m = mediator_of(journeys, touch);
      observed = observed && m != kMediatorMissing;
      engaged = engaged || m != 0;
      const double none = sigmoid(-scored.logit(touch));  // 1 - p
      clipped = clipped || none < kMediatorFloor;
      floored *= std::max(none, kMediatorFloor);
      log_none += std::log(std::max(none, 1e-30));
    }
    const double ratio = engaged ? 0 : std::exp(deletion.log_ratio) / floored;
    const double raw_ratio = engaged ? 0 : std::exp(deletion.log_ratio - log_none);
    clipped = clipped || ratio > kRatioCeiling;
    const double kappa = head.value(deletion.expected);
    scores_.plugin.push_back(head.value(scored.expected(journey)) - kappa);
    scores_.ratio.push_back(std::min(ratio, kRatioCeiling));
    scores_.clipped.push_back(clipped);
    scores_.one_step.push_back(
        observed ? removal_of_present(outcome, scores_.ratio.back(), mu, kappa) : kNone);
    const double raw = removal_of_present(outcome, raw_ratio, mu, kappa);
    scores_.raw.push_back(observed && std::fabs(raw) < kLargestRaw ? raw : kNone);
  }
}

void RemovalScorer::score_absent(const io::Journeys& journeys, const SequenceScorer& scored,
                                 int64_t thread) {
  RemovalScores::Absent& absent = scores_.absent;
  absent.begin.assign(static_cast<size_t>(journeys.size()) + 1, 0);
  absent.cluster.clear();
  absent.value.clear();
  absent.odds.clear();
  const RemovalNet* const net = model_.removal();
  if (net == nullptr || journeys.size() == 0) return;
  Inputs& inputs = compute_.thread(thread).inputs;
  inputs.fill(journeys, model_.stats(), model_.options(), model_.positions());
  std::fill(inputs.weight.begin(), inputs.weight.end(), 1.0f);  // what is left: 1 / share drawn
  inputs.fill_removal(model_.stats(), kAbsentInEstimates, 0, false);
  const RemovalPairs& pairs = inputs.removal;
  if (by_cluster_.odds.empty()) {
    by_cluster_ = net->by_cluster(compute_.pass(thread, weights_.dense.data(), nullptr));
  }
  const Pass pass = compute_.pass(thread, weights_.dense.data(), nullptr);
  const Matrix<const float> context{scored.encoded().context.data(), journeys.size(),
                                    model_.options().context_width};
  const RemovalNet::Scores net_scores = net->score_absent(pass, inputs, context, by_cluster_);
  absent.begin.assign(pairs.pair_begin.begin(), pairs.pair_begin.end());
  absent.cluster.assign(pairs.cluster.begin(), pairs.cluster.end());
  for (int64_t journey = 0; journey < journeys.size(); ++journey) {
    const size_t i = static_cast<size_t>(journey);
    const JourneyHead head = scored.head(journey);
    for (int64_t pair = pairs.pair_begin[i]; pair < pairs.pair_begin[i + 1]; ++pair) {
      const size_t at = static_cast<size_t>(pair);
      const double odds = std::exp(std::min(double{net_scores.odds_logit[at]}, kLargestOddsLogit));
      // mu - E[mu] at the survival of a journey that touched the cluster besides.
      const double gap = model_.additive()
                             ? scored.last().predicted[i] - head.value(scored.expected(journey))
                             : sigmoid(net_scores.survival_logit[at]) *
                                   (scored.expected(journey) - scored.observed(journey));
      absent.value.push_back(removal_of_absent(gap, odds) * pairs.weight[at]);
      absent.odds.push_back(odds * pairs.weight[at]);
    }
  }
}

}  // namespace alm
