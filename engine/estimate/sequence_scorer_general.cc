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

void SequenceScorer::predict_general(const io::Journeys& journeys, int64_t journey) {
  const size_t i = static_cast<size_t>(journey);
  const size_t begin = static_cast<size_t>(journeys.touch_begin[i]);
  const size_t touches = static_cast<size_t>(journeys.touches_of(journey));
  const int64_t width = model_.options().confounding_hidden;
  const std::span<const double> p{scores_.p.data() + begin, touches};
  general_->start({.row = journeys.row[i],
                   .base = base_.data() + journey * width,
                   .steps = {steps_.data() + static_cast<int64_t>(begin) * width,
                             static_cast<int64_t>(touches), width},
                   .g = {potency_.data() + begin, touches},
                   .p = p});
  std::vector<double> share(touches), values;
  for (size_t touch = 0; touch < touches; ++touch) {
    const uint8_t m = mediator_of(journeys, begin + touch);
    share[touch] = m == kMediatorMissing ? p[touch] : m;
  }
  general_->means(share, values);
  scores_.predicted[i] = mean(values);
  check_usable(journeys, journey, scores_.predicted[i]);
}

void SequenceScorer::score_general(const io::Journeys& journeys, int64_t journey) {
  predict_general(journeys, journey);
  const size_t i = static_cast<size_t>(journey);
  const size_t begin = static_cast<size_t>(journeys.touch_begin[i]);
  const size_t touches = static_cast<size_t>(journeys.touches_of(journey));
  const std::span<const double> p{scores_.p.data() + begin, touches};
  const double mu = scores_.predicted[i];
  // The observed mediators; where m_l is not observed, `law` of it.
  std::vector<double> share(touches), values;
  const auto observe = [&](size_t touch, double law) {
    const uint8_t m = mediator_of(journeys, begin + touch);
    share[touch] = m == kMediatorMissing ? law : m;
  };

  // ett_j = p_j E[mu | m_j = 1] + (1 - p_j) E[mu | m_j = 0] - E'[mu | m_j = 0], E over the laws of
  // the other mediators with the touch, E' without it, all at the same draws.
  std::vector<double> law(p.begin(), p.end()), law_without(touches), engaged, not_engaged, without;
  std::vector<std::vector<double>> falls(touches);
  for (size_t touch = 0; touch < touches; ++touch) {
    const double* logit = this->without(static_cast<int64_t>(begin + touch));
    for (size_t other = 0; other < touches; ++other) {
      law_without[other] = other == touch ? 0 : sigmoid(*logit++);
      observe(other, law_without[other]);
    }
    share[touch] = 0;
    law[touch] = 1;
    general_->means(law, engaged);
    law[touch] = 0;
    general_->means(law, not_engaged);
    law[touch] = p[touch];
    general_->means(law_without, without);
    for (const auto* of : {&engaged, &not_engaged, &without}) {
      check_usable(journeys, journey, mean(*of));
    }
    falls[touch].resize(std::max({engaged.size(), not_engaged.size(), without.size()}));
    const auto at = [](const std::vector<double>& of, size_t draw) {
      return of[of.size() == 1 ? 0 : draw];
    };
    for (size_t draw = 0; draw < falls[touch].size(); ++draw) {
      falls[touch][draw] =
          p[touch] * at(engaged, draw) + (1 - p[touch]) * at(not_engaged, draw) - at(without, draw);
    }
    scores_.ett[begin + touch] = mean(falls[touch]);
    general_->means(share, values);
    put_one_step(journeys, journey, touch, mu, mean(values));
  }
  put_variance(journeys, journey, falls);
  general_->shapley(values);
  std::ranges::copy(values, scores_.shapley.begin() + static_cast<std::ptrdiff_t>(begin));
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
