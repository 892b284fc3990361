// The scores of a journey under the general head: sums over its mediators instead of closed forms.
#include <algorithm>

#include "engine/estimate/row_values.h"
#include "engine/estimate/sequence_scorer.h"
#include "kernels/base/logistic.h"

namespace alm {
namespace {

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

}  // namespace

void SequenceScorer::start_general(const io::Journeys& journeys, int64_t journey) {
  const size_t i = static_cast<size_t>(journey);
  const size_t begin = static_cast<size_t>(journeys.touch_begin[i]);
  const size_t touches = static_cast<size_t>(journeys.touches_of(journey));
  const int64_t width = model_.options().confounding_hidden;
  general_->start({.row = journeys.row[i],
                   .base = base_.data() + journey * width,
                   .steps = {steps_.data() + static_cast<int64_t>(begin) * width,
                             static_cast<int64_t>(touches), width},
                   .g = {potency_.data() + begin, touches},
                   .p = {scores_.p.data() + begin, touches}});
}

void SequenceScorer::predict_general(const io::Journeys& journeys, int64_t journey) {
  const size_t i = static_cast<size_t>(journey);
  const size_t begin = static_cast<size_t>(journeys.touch_begin[i]);
  const size_t touches = static_cast<size_t>(journeys.touches_of(journey));
  const std::span<const double> p{scores_.p.data() + begin, touches};
  start_general(journeys, journey);
  std::vector<double> share(touches), values;
  for (size_t touch = 0; touch < touches; ++touch) {
    const uint8_t m = mediator_of(journeys, begin + touch);
    share[touch] = m == kMediatorMissing ? p[touch] : m;
  }
  general_->means(share, values);
  scores_.predicted[i] = mean(values);
  check_usable(journeys, journey, scores_.predicted[i]);
}

void SequenceScorer::score_general(const io::Journeys& journeys, int64_t journey, Wanted wanted) {
  predict_general(journeys, journey);
  const size_t i = static_cast<size_t>(journey);
  const size_t begin = static_cast<size_t>(journeys.touch_begin[i]);
  const size_t touches = static_cast<size_t>(journeys.touches_of(journey));
  const std::span<const double> p{scores_.p.data() + begin, touches};
  // The observed mediators; where m_l is not observed, `law` of it.
  std::vector<double> share(touches), values;
  std::vector<double> law_without(p.begin(), p.end());  // without the touch at hand
  std::vector<std::vector<double>> falls(touches);
  for (size_t touch = 0; touch < touches; ++touch) {
    const double* logit_without = without(begin + touch);
    double log_w = 0;
    for (size_t other = 0; other < touches; ++other) {
      const size_t j = begin + other;
      const uint8_t m = mediator_of(journeys, j);
      const bool after = other > touch;
      const double logit_of = after ? *logit_without++ : logit(j);
      law_without[other] = other == touch ? 0 : sigmoid(logit_of);
      share[other] = m == kMediatorMissing ? law_without[other] : m;
      if (after && m != kMediatorMissing) log_w += log_probability(logit_of, m == 1) - log_p_[j];
    }
    share[touch] = 0;
    if (wanted == Wanted::effects) {
      falls[touch] = falls_of(journeys, journey, touch, law_without);
      scores_.ett[begin + touch] = mean(falls[touch]);
    }
    general_->means(share, values);
    put_one_step(journeys, journey, begin + touch, log_w, scores_.predicted[i], mean(values));
  }
  if (wanted == Wanted::effects) put_variance(journeys, journey, falls);
}

// p_j E[mu | m_j = 1] + (1 - p_j) E[mu | m_j = 0] - E'[mu | m_j = 0] of each draw: E over the laws
// of the other mediators with the touch, E' without it, all at the same draws. Means to ett_j.
std::vector<double> SequenceScorer::falls_of(const io::Journeys& journeys, int64_t journey,
                                             size_t touch, const std::vector<double>& law_without) {
  const size_t i = static_cast<size_t>(journey);
  const auto first = scores_.p.begin() + journeys.touch_begin[i];
  std::vector<double> law(first, first + journeys.touches_of(journey));
  const double p = law[touch];
  std::vector<double> engaged, not_engaged, without_it;
  law[touch] = 1;
  general_->means(law, engaged);
  law[touch] = 0;
  general_->means(law, not_engaged);
  general_->means(law_without, without_it);
  for (const auto* of : {&engaged, &not_engaged, &without_it}) {
    check_usable(journeys, journey, mean(*of));
  }
  std::vector<double> falls(std::max({engaged.size(), not_engaged.size(), without_it.size()}));
  const auto at = [](const std::vector<double>& of, size_t draw) {
    return of[of.size() == 1 ? 0 : draw];
  };
  for (size_t draw = 0; draw < falls.size(); ++draw) {
    falls[draw] = p * at(engaged, draw) + (1 - p) * at(not_engaged, draw) - at(without_it, draw);
  }
  return falls;
}

void SequenceScorer::put_variance(const io::Journeys& journeys, int64_t journey,
                                  const std::vector<std::vector<double>>& falls) {
  const size_t begin = static_cast<size_t>(journeys.touch_begin[static_cast<size_t>(journey)]);
  for (size_t touch = 0; touch < falls.size(); ++touch) {
    const size_t draws = falls[touch].size();
    if (draws == 1) continue;
    double sum = 0;  // of products with the touches of its cluster, which share the draws
    for (size_t other = 0; other < falls.size(); ++other) {
      if (journeys.cluster[begin + other] != journeys.cluster[begin + touch]) continue;
      if (falls[other].size() != draws) continue;
      for (size_t draw = 0; draw < draws; ++draw) {
        sum += (falls[touch][draw] - scores_.ett[begin + touch]) *
               (falls[other][draw] - scores_.ett[begin + other]);
      }
    }
    scores_.ett_variance[begin + touch] = sum / static_cast<double>(draws * (draws - 1));
  }
}

}  // namespace alm
