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

void copy(std::span<const float> from, std::vector<double>& to) {
  to.assign(from.begin(), from.end());
}

}  // namespace

SequenceScorer::SequenceScorer(const AlmMta& model, const ModelWeights& weights, Compute& compute,
                               MonteCarlo how)
    : model_(model), weights_(weights), compute_(compute), deletions_(model, weights, compute) {
  if (model.general()) general_.emplace(model, weights, how);
}

const SequenceScores& SequenceScorer::score(const io::Journeys& journeys, int64_t thread,
                                            Wanted wanted) {
  const size_t n = static_cast<size_t>(journeys.size());
  const size_t t = static_cast<size_t>(journeys.touches());
  const size_t effects = wanted == Wanted::effects ? t : 0;
  for (std::vector<double>* column : {&scores_.predicted, &scores_.lambda}) column->assign(n, 0.0);
  for (std::vector<double>* column :
       {&scores_.p, &scores_.one_step, &scores_.raw, &scores_.weight}) {
    column->assign(t, 0.0);
  }
  scores_.ett.assign(effects, 0.0);
  (model_.general() ? scores_.ett_variance : scores_.do_effect).assign(effects, 0.0);
  scores_.clipped.assign(t, 0);
  deleted_.resize(t);
  observed_.resize(n);
  expected_.resize(n);
  if (n == 0) return scores_;
  run_model(journeys, thread);
  log_p_.resize(t);
  for (size_t j = 0; j < t; ++j) {
    const uint8_t m = mediator_of(journeys, j);
    log_p_[j] = m == kMediatorMissing ? 0 : log_probability(logit(j), m == 1);
  }
  run_deletions(journeys, thread);
  for (int64_t journey = 0; journey < journeys.size(); ++journey) {
    model_.general() ? score_general(journeys, journey, wanted)
                     : score_separable(journeys, journey, wanted);
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
  encoded_.assign(raw);
  copy(flat(raw.potency), potency_);
  copy(flat(raw.confounding), survival_);
  for (size_t touch = 0; touch < scores_.p.size(); ++touch) {
    scores_.p[touch] = sigmoid(encoded_.logit[touch]);
  }
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
  deletions_.start(journeys, encoded_, thread);
  int64_t total = 0;
  for (int64_t journey = 0; journey < journeys.size(); ++journey) {
    const int64_t begin = journeys.touch_begin[static_cast<size_t>(journey)];
    const int64_t touches = journeys.touches_of(journey);
    for (int64_t touch = begin; touch < begin + touches; ++touch) {
      without_begin_[static_cast<size_t>(touch)] = total + touch - begin;
      total += touches - 1;
      deletions_.add(journey, std::span(&touch, 1));
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

void SequenceScorer::put_one_step(const io::Journeys& journeys, int64_t journey, size_t touch,
                                  double log_w, double mu, double edited_mu) {
  const size_t i = static_cast<size_t>(journey);
  const uint8_t own = mediator_of(journeys, touch);
  if (own == kMediatorMissing) {
    scores_.one_step[touch] = scores_.raw[touch] = std::numeric_limits<double>::quiet_NaN();
    return;
  }
  const double outcome = journeys.outcome[i];
  const double w = std::min(std::exp(log_w), kRatioCeiling);
  const double none = sigmoid(-logit(touch));  // 1 - p_j
  const double residual = own == 0 ? outcome - mu : 0;
  const double floored = std::max(none, kMediatorFloor);
  scores_.clipped[touch] = none < kMediatorFloor || log_w > std::log(kRatioCeiling);
  scores_.weight[touch] = own == 0 ? w / floored : 0;
  scores_.one_step[touch] = outcome - w * (residual / floored + edited_mu);
  const double raw = outcome - std::exp(log_w) * (residual / std::max(none, 1e-30) + edited_mu);
  scores_.raw[touch] =
      std::fabs(raw) < kLargestRaw ? raw : std::numeric_limits<double>::quiet_NaN();
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

void SequenceScorer::score_separable(const io::Journeys& journeys, int64_t journey, Wanted wanted) {
  const size_t i = static_cast<size_t>(journey);
  const size_t begin = static_cast<size_t>(journeys.touch_begin[i]);
  const size_t end = static_cast<size_t>(journeys.touch_begin[i + 1]);
  const JourneyHead of = head(journey);
  // What touch l adds to the outcome head at mediator m, or at its law p where m is not observed: a
  // factor of the survival (binary) or a term of the sum (continuous).
  const auto add = [&](double& to, size_t touch, uint8_t m, double p) {
    to = of.join(to, of.part(potency_[touch], m == kMediatorMissing ? p : m));
  };
  predict_separable(journeys, journey);
  double& expected = expected_[i] = of.unit();  // parts at the law of the mediators
  for (size_t j = begin; j < end; ++j) add(expected, j, kMediatorMissing, scores_.p[j]);
  check_usable(journeys, journey, of.value(expected));

  // Of the touches before j: their law stays. Parts at the law, and as observed.
  double before = of.unit(), before_observed = of.unit();
  for (size_t j = begin; j < end; ++j) {
    Deletion& deletion = deleted_[j] = {.log_ratio = 0, .expected = before};
    double edited = before_observed;  // parts at the observed mediators with m_j = 0
    const double* logit_without = without(j);
    for (size_t other = j + 1; other < end; ++other) {
      const double z = *logit_without++;
      const double p = sigmoid(z);
      const uint8_t m = mediator_of(journeys, other);
      add(deletion.expected, other, kMediatorMissing, p);
      add(edited, other, m, p);
      if (m == kMediatorMissing) continue;
      deletion.log_ratio += log_probability(z, m == 1) - log_p_[other];
    }
    if (wanted == Wanted::effects) put_effects(journey, j);
    put_one_step(journeys, journey, j, deletion.log_ratio, scores_.predicted[i], of.value(edited));
    add(before, j, kMediatorMissing, scores_.p[j]);
    add(before_observed, j, mediator_of(journeys, j), scores_.p[j]);
  }
}

void SequenceScorer::put_effects(int64_t journey, size_t touch) {
  const size_t i = static_cast<size_t>(journey);
  // Of a product it is the survival that rises.
  const double fall = model_.additive() ? expected_[i] - deleted_[touch].expected
                                        : deleted_[touch].expected - expected_[i];
  const double sd = model_.stats().outcome_sd;
  scores_.do_effect[touch] = (model_.additive() ? sd : scores_.lambda[i]) * fall;
  scores_.ett[touch] = (model_.additive() ? sd : survival_[i]) * fall;
}

std::vector<double> SequenceScorer::shapley(const io::Journeys& journeys, int64_t journey) {
  const size_t i = static_cast<size_t>(journey);
  const size_t begin = static_cast<size_t>(journeys.touch_begin[i]);
  const size_t end = static_cast<size_t>(journeys.touch_begin[i + 1]);
  std::vector<double> values;
  if (model_.general()) {
    start_general(journeys, journey);
    general_->shapley(values);
    return values;
  }
  std::vector<double> share;
  for (size_t j = begin; j < end; ++j) share.push_back(potency_[j] * scores_.p[j]);
  if (!model_.additive()) {
    shapley_values(scores_.lambda[i], share, values);
    return values;
  }
  for (double& value : share) value *= model_.stats().outcome_sd;
  return share;
}

}  // namespace alm
