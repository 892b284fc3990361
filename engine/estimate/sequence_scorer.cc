#include "engine/estimate/sequence_scorer.h"
#include "engine/estimate/row_values.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/base/check.h"
#include "kernels/base/logistic.h"

namespace alm {
namespace {

// An unfloored denominator can be as good as 0: such a value says nothing.
constexpr double kLargestRaw = 1e15;
// Predictions beyond this are no predictions, and too large for the order-free sums.
constexpr double kLargestPrediction = 0x1p28;

// log P(m) of a Bernoulli with this logit.
double log_probability(double logit, bool one) {
  return -softplus(one ? -logit : logit);
}

void copy(std::span<const float> from, std::vector<double>& to) {
  to.assign(from.begin(), from.end());
}

}  // namespace

SequenceScorer::SequenceScorer(const AlmMta& model, const ModelWeights& weights, Compute& compute,
                               MonteCarlo how)
    : model_(model), weights_(weights), compute_(compute), deletions_(model, weights, compute) {
  if (model.general()) general_.emplace(model, weights, how);
}

const SequenceScores& SequenceScorer::score(const io::Journeys& journeys, int64_t thread) {
  const size_t n = static_cast<size_t>(journeys.size());
  const size_t t = static_cast<size_t>(journeys.touches());
  for (std::vector<double>* column : {&scores_.predicted, &scores_.lambda}) column->assign(n, 0.0);
  for (std::vector<double>* column : {&scores_.p, &scores_.ett, &scores_.one_step, &scores_.raw,
                                      &scores_.weight, &scores_.shapley}) {
    column->assign(t, 0.0);
  }
  if (model_.general()) {
    scores_.ett_variance.assign(t, 0.0);
  } else {
    scores_.do_effect.assign(t, 0.0);
  }
  scores_.clipped.assign(t, 0);
  observed_.resize(n);
  expected_.resize(n);
  if (n == 0) return scores_;
  run_model(journeys, thread);
  run_deletions(journeys, thread);
  for (int64_t journey = 0; journey < journeys.size(); ++journey) {
    model_.general() ? score_general(journeys, journey) : score_separable(journeys, journey);
  }
  return scores_;
}

std::span<const double> SequenceScorer::predict(const io::Journeys& journeys, int64_t thread) {
  const size_t n = static_cast<size_t>(journeys.size());
  scores_.predicted.assign(n, 0.0);
  scores_.lambda.assign(n, 0.0);
  scores_.p.assign(static_cast<size_t>(journeys.touches()), 0.0);
  observed_.resize(n);
  if (n == 0) return {};
  run_model(journeys, thread);
  for (int64_t journey = 0; journey < journeys.size(); ++journey) {
    model_.general() ? predict_general(journeys, journey) : predict_separable(journeys, journey);
  }
  return scores_.predicted;
}

void SequenceScorer::run_model(const io::Journeys& journeys, int64_t thread) {
  Inputs& inputs = compute_.thread(thread).inputs;
  inputs.fill(journeys, model_.stats(), model_.options(), model_.positions());
  const Pass pass = compute_.pass(thread, weights_.dense.data(), nullptr);
  const AlmMta::Scores raw = model_.score(pass, inputs, weights_);
  const std::span<const float> context = flat(raw.context);
  context_.assign(context.begin(), context.end());
  copy(flat(raw.mediator_logit), logit_);
  copy(flat(raw.potency), potency_);
  copy(flat(raw.confounding), survival_);
  for (size_t touch = 0; touch < logit_.size(); ++touch) scores_.p[touch] = sigmoid(logit_[touch]);
  if (model_.general()) {
    const std::span<const float> base = flat(raw.base), steps = flat(raw.steps);
    base_.assign(base.begin(), base.end());
    steps_.assign(steps.begin(), steps.end());
    return;
  }
  if (model_.additive()) return;
  for (double& value : potency_) value = -std::expm1(-softplus(value));
  for (double& value : survival_) value = sigmoid(-value);
  for (size_t journey = 0; journey < survival_.size(); ++journey) {
    scores_.lambda[journey] = sigmoid(raw.second_stage.data[journey]);
  }
}

void SequenceScorer::run_deletions(const io::Journeys& journeys, int64_t thread) {
  without_begin_.resize(static_cast<size_t>(journeys.touches()));
  deletions_.start(context_, journeys.size(), thread);
  int64_t total = 0;
  for (int64_t journey = 0; journey < journeys.size(); ++journey) {
    const int64_t begin = journeys.touch_begin[static_cast<size_t>(journey)];
    const int64_t touches = journeys.touches_of(journey);
    for (int64_t touch = 0; touch < touches; ++touch) {
      without_begin_[static_cast<size_t>(begin + touch)] = total;
      total += touches - 1;
      if (touches == 1) continue;
      deletions_.add(journey, touches - 1, [&](io::Journeys& edited) {
        edited.append(journeys, journey, model_.stats().schema, touch);
      });
    }
  }
  without_ = &deletions_.finish();
}

JourneyHead SequenceScorer::head(int64_t journey) const {
  return {model_.additive(), survival_[static_cast<size_t>(journey)], model_.stats().outcome_mean,
          model_.stats().outcome_sd};
}

void SequenceScorer::check_usable(const io::Journeys& journeys, int64_t journey,
                                  double prediction) {
  if (std::fabs(prediction) < kLargestPrediction) return;
  throw UserError(format(
      "row %lld of the log: the model's scores are not finite or beyond measure; its values "
      "lie too far from those it was trained on: look for extreme values in /journey/dense and "
      "/touch/dense",
      static_cast<long long>(journeys.row[static_cast<size_t>(journey)])));
}

double SequenceScorer::log_ratio(const io::Journeys& journeys, int64_t journey,
                                 size_t touch) const {
  const size_t begin = static_cast<size_t>(journeys.touch_begin[static_cast<size_t>(journey)]);
  const size_t touches = static_cast<size_t>(journeys.touches_of(journey));
  const double* without = this->without(static_cast<int64_t>(begin + touch));
  double log_ratio = 0;
  for (size_t other = 0; other < touches; ++other) {
    if (other == touch) continue;
    const double logit = *without++;
    const uint8_t m = mediator_of(journeys, begin + other);
    if (m == kMediatorMissing) continue;
    log_ratio += log_probability(logit, m == 1) - log_probability(logit_[begin + other], m == 1);
  }
  return log_ratio;
}

void SequenceScorer::put_one_step(const io::Journeys& journeys, int64_t journey, size_t touch,
                                  double mu, double edited_mu) {
  const size_t i = static_cast<size_t>(journey);
  const size_t j = static_cast<size_t>(journeys.touch_begin[i]) + touch;
  const uint8_t own = mediator_of(journeys, j);
  if (own == kMediatorMissing) {
    scores_.one_step[j] = scores_.raw[j] = std::numeric_limits<double>::quiet_NaN();
    return;
  }
  const double outcome = journeys.outcome[i];
  const double log_w = log_ratio(journeys, journey, touch);
  const double w = std::min(std::exp(log_w), kRatioCeiling);
  const double none = sigmoid(-logit_[j]);  // 1 - p_j
  const double residual = own == 0 ? outcome - mu : 0;
  const double floored = std::max(none, kMediatorFloor);
  scores_.clipped[j] = none < kMediatorFloor || log_w > std::log(kRatioCeiling);
  scores_.weight[j] = own == 0 ? w / floored : 0;
  scores_.one_step[j] = outcome - w * (residual / floored + edited_mu);
  const double raw = outcome - std::exp(log_w) * (residual / std::max(none, 1e-30) + edited_mu);
  scores_.raw[j] = std::fabs(raw) < kLargestRaw ? raw : std::numeric_limits<double>::quiet_NaN();
}

void SequenceScorer::predict_separable(const io::Journeys& journeys, int64_t journey) {
  const size_t i = static_cast<size_t>(journey);
  const size_t begin = static_cast<size_t>(journeys.touch_begin[i]);
  const size_t end = static_cast<size_t>(journeys.touch_begin[i + 1]);
  const JourneyHead of = head(journey);
  double observed = of.unit();
  for (size_t j = begin; j < end; ++j) {
    const uint8_t m = mediator_of(journeys, j);
    const double share = m == kMediatorMissing ? scores_.p[j] : m;
    observed = of.join(observed, of.part(potency_[j], share));
  }
  observed_[i] = observed;
  scores_.predicted[i] = of.value(observed);
  check_usable(journeys, journey, scores_.predicted[i]);
}

void SequenceScorer::score_separable(const io::Journeys& journeys, int64_t journey) {
  const size_t i = static_cast<size_t>(journey);
  const size_t begin = static_cast<size_t>(journeys.touch_begin[i]);
  const size_t touches = static_cast<size_t>(journeys.touches_of(journey));
  const bool additive = model_.additive();
  const double sd = model_.stats().outcome_sd;
  const JourneyHead of = head(journey);
  const auto mediator = [&](size_t touch) { return mediator_of(journeys, begin + touch); };
  // What touch l adds to the outcome head at mediator m, or at its law p where m is not observed: a
  // factor of the survival (binary) or a term of the sum (continuous).
  const auto part = [&](size_t touch, uint8_t m, double p) {
    return of.part(potency_[begin + touch], m == kMediatorMissing ? p : m);
  };
  const auto join = [&](double left, double right) { return of.join(left, right); };
  const double unit = of.unit();

  predict_separable(journeys, journey);
  const double mu = scores_.predicted[i];
  double expected = unit;  // parts at the law of the mediators
  for (size_t touch = 0; touch < touches; ++touch) {
    expected = join(expected, part(touch, kMediatorMissing, scores_.p[begin + touch]));
  }
  expected_[i] = expected;
  check_usable(journeys, journey, of.value(expected));

  for (size_t touch = 0; touch < touches; ++touch) {
    const size_t j = begin + touch;
    double expected_without = unit;  // parts at p' without touch j
    double edited = unit;            // parts at the observed mediators with m_j = 0
    size_t at = static_cast<size_t>(without_begin_[j]);
    for (size_t other = 0; other < touches; ++other) {
      if (other == touch) continue;
      const double p = sigmoid((*without_)[at++]);
      const uint8_t m = mediator(other);
      expected_without = join(expected_without, part(other, kMediatorMissing, p));
      edited = join(edited, part(other, m, p));
    }
    if (additive) {
      scores_.do_effect[j] = sd * (expected - expected_without);
      scores_.ett[j] = scores_.do_effect[j];
    } else {
      scores_.do_effect[j] = scores_.lambda[i] * (expected_without - expected);
      scores_.ett[j] = survival_[i] * (expected_without - expected);
    }
    put_one_step(journeys, journey, touch, mu, of.value(edited));
  }

  std::vector<double> share(touches);
  std::vector<double> values;
  for (size_t touch = 0; touch < touches; ++touch) {
    share[touch] = potency_[begin + touch] * scores_.p[begin + touch];
  }
  if (additive) {
    for (size_t touch = 0; touch < touches; ++touch)
      scores_.shapley[begin + touch] = sd * share[touch];
    return;
  }
  shapley_values(scores_.lambda[i], share, values);
  std::copy(values.begin(), values.end(), scores_.shapley.begin() + static_cast<long>(begin));
}

}  // namespace alm
