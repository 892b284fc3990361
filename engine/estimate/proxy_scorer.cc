#include "engine/estimate/proxy_scorer.h"

#include <cmath>

#include "kernels/base/check.h"
#include "kernels/base/logistic.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

// Touches of edited journeys that go through the model at once: bounds memory for long journeys.
constexpr int64_t kEditedTouches = 8192;

double potency_of(float raw) {
  return -std::expm1(-softplus(double{raw}));
}

// g(X, T) of a journey whose touches begin at `begin`.
double outcome_head(const AlmMta::Scores& raw, int64_t journey, int64_t begin, int64_t end) {
  double none = sigmoid(-double{raw.confounding(journey, 0)});
  for (int64_t touch = begin; touch < end; ++touch) {
    none *= 1 - potency_of(raw.potency(touch, 0)) * sigmoid(double{raw.value_logit(touch, 0)});
  }
  return 1 - none;
}

}  // namespace

ProxyScorer::ProxyScorer(const AlmMta& model, const ModelWeights& weights, Compute& compute)
    : model_(model), weights_(weights), compute_(compute) {
  ALM_CHECK(model.has_code());
}

std::span<const double> ProxyScorer::predict(const io::Journeys& journeys, int64_t thread) {
  size_scores(journeys);
  if (journeys.size() > 0) run_model(journeys, thread);
  return scores_.predicted;
}

void ProxyScorer::size_scores(const io::Journeys& journeys) {
  const size_t touches = static_cast<size_t>(journeys.touches());
  scores_.predicted.assign(static_cast<size_t>(journeys.size()), 0.0);
  scores_.paper.assign(touches, 0.0);
  for (std::vector<double>* of : {&scores_.do_effect, &scores_.ett, &scores_.law}) {
    of->assign(model_.has_law() ? touches : 0, 0.0);
  }
  for (std::vector<double>* of : {&scores_.value, &scores_.discriminator, &scores_.omega}) {
    of->assign(touches, 0.0);
  }
  scores_.code.clear();
}

const ProxyScores& ProxyScorer::score(const io::Journeys& journeys, int64_t thread) {
  size_scores(journeys);
  if (journeys.size() == 0) return scores_;
  run_model(journeys, thread);
  run_deletions(journeys, thread);
  for (int64_t journey = 0; journey < journeys.size(); ++journey) score_journey(journeys, journey);
  return scores_;
}

void ProxyScorer::run_model(const io::Journeys& journeys, int64_t thread) {
  Inputs& inputs = compute_.thread(thread).inputs;
  inputs.fill(journeys, model_.stats(), model_.options(), model_.positions());
  const Pass pass = compute_.pass(thread, weights_.dense.data(), nullptr);
  const AlmMta::Scores raw = model_.score(pass, inputs, weights_);
  const size_t n = static_cast<size_t>(journeys.size());
  survival_.resize(n);
  lambda_.resize(n);
  for (size_t i = 0; i < n; ++i) {
    survival_[i] = sigmoid(-double{raw.confounding.data[i]});
    lambda_[i] = sigmoid(double{raw.second_stage.data[i]});
    scores_.predicted[i] = outcome_head(raw, static_cast<int64_t>(i), journeys.touch_begin[i],
                                        journeys.touch_begin[i + 1]);
    if (std::isfinite(scores_.predicted[i])) continue;
    throw UserError(format(
        "row %lld of the log: the model's scores are not finite; its values lie too far from those "
        "it was trained on: look for extreme values in /journey/dense and /touch/dense",
        static_cast<long long>(journeys.row[i])));
  }
  potency_.resize(static_cast<size_t>(journeys.touches()));
  for (size_t j = 0; j < potency_.size(); ++j) {
    potency_[j] = potency_of(raw.potency.data[j]);
    scores_.value[j] = sigmoid(double{raw.value_logit.data[j]});
    scores_.discriminator[j] = double{raw.discriminator_logit.data[j]};
    scores_.omega[j] = double{raw.omega[j]};
    if (model_.has_law()) scores_.law[j] = sigmoid(double{raw.mediator_logit.data[j]});
  }
  const std::span<const float> code = flat(raw.code);
  scores_.code.assign(code.begin(), code.end());
}

void ProxyScorer::run_deletions(const io::Journeys& journeys, int64_t thread) {
  predicted_without_.clear();
  law_without_.clear();
  without_begin_.resize(static_cast<size_t>(journeys.touches()));
  edited_.clear();
  int64_t total = 0;
  for (int64_t journey = 0; journey < journeys.size(); ++journey) {
    const int64_t begin = journeys.touch_begin[static_cast<size_t>(journey)];
    const int64_t touches = journeys.touches_of(journey);
    for (int64_t touch = 0; touch < touches; ++touch) {
      without_begin_[static_cast<size_t>(begin + touch)] = total;
      total += touches - 1;
      if (edited_.touches() + touches - 1 > kEditedTouches) run_deletion_chunk(thread);
      edited_.append(journeys, journey, model_.stats().schema, touch);
    }
  }
  run_deletion_chunk(thread);
}

void ProxyScorer::run_deletion_chunk(int64_t thread) {
  if (edited_.size() > 0) {
    Inputs& inputs = compute_.thread(thread).inputs;
    inputs.fill(edited_, model_.stats(), model_.options(), model_.positions());
    const Pass pass = compute_.pass(thread, weights_.dense.data(), nullptr);
    const AlmMta::Scores raw = model_.score(pass, inputs, weights_);
    for (size_t i = 0; i < static_cast<size_t>(edited_.size()); ++i) {
      predicted_without_.push_back(outcome_head(
          raw, static_cast<int64_t>(i), edited_.touch_begin[i], edited_.touch_begin[i + 1]));
    }
    if (model_.has_law()) {
      for (const float logit : flat(raw.mediator_logit)) {
        law_without_.push_back(sigmoid(double{logit}));
      }
    }
  }
  edited_.clear();
}

void ProxyScorer::score_journey(const io::Journeys& journeys, int64_t journey) {
  const size_t i = static_cast<size_t>(journey);
  const size_t begin = static_cast<size_t>(journeys.touch_begin[i]);
  const size_t touches = static_cast<size_t>(journeys.touches_of(journey));
  double expected = 1;  // prod r_l
  for (size_t touch = 0; touch < touches && model_.has_law(); ++touch) {
    expected *= 1 - potency_[begin + touch] * scores_.law[begin + touch];
  }
  for (size_t touch = 0; touch < touches; ++touch) {
    const size_t j = begin + touch;
    scores_.paper[j] = scores_.predicted[i] - predicted_without_[j];
    if (!model_.has_law()) continue;
    double without = 1;  // prod_{l != j} r'_l
    size_t at = static_cast<size_t>(without_begin_[j]);
    for (size_t other = 0; other < touches; ++other) {
      if (other != touch) without *= 1 - potency_[begin + other] * law_without_[at++];
    }
    scores_.do_effect[j] = lambda_[i] * (without - expected);
    scores_.ett[j] = survival_[i] * (without - expected);
  }
}

}  // namespace alm
