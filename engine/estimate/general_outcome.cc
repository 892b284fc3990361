#include "engine/estimate/general_outcome.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "kernels/base/logistic.h"
#include "kernels/base/rng.h"

namespace alm {
namespace {

void add_step(const float* step, float sign, std::span<float> engaged) {
  for (size_t at = 0; at < engaged.size(); ++at) engaged[at] += sign * step[at];
}

}  // namespace

double GeneralOutcome::outcome(const float* engaged, double g) const {
  const double eta = model_.general_logit(weights_, journey_.base, engaged) + g;
  if (model_.additive()) return model_.stats().outcome_mean + model_.stats().outcome_sd * eta;
  return sigmoid(eta);
}

void GeneralOutcome::start(const Journey& journey) {
  journey_ = journey;
  exact_ = static_cast<int64_t>(journey.g.size()) <= how_.enumerated;
  prepared_ = false;
}

void GeneralOutcome::prepare() {
  if (prepared_) return;
  prepared_ = true;
  if (!exact_) return draw();
  table_.resize(size_t{1} << journey_.g.size());
  fill_table(0, 0, std::vector<float>(width()), 0);
}

void GeneralOutcome::fill_table(size_t touch, size_t vector, const std::vector<float>& engaged,
                                double g) {
  if (touch == journey_.g.size()) {
    table_[vector] = outcome(engaged.data(), g);
    return;
  }
  fill_table(touch + 1, vector, engaged, g);
  std::vector<float> with = engaged;
  add_step(journey_.steps.row(static_cast<int64_t>(touch)), 1, with);
  fill_table(touch + 1, vector | size_t{1} << touch, with, g + journey_.g[touch]);
}

void GeneralOutcome::draw() {
  const size_t touches = journey_.g.size();
  const size_t draws = static_cast<size_t>(how_.draws);
  uniform_.resize(draws * touches);
  engaged_.assign(draws * width(), 0.0f);
  g_.assign(draws, 0.0);
  Rng random(how_.seed, Stream::mediators, static_cast<uint64_t>(journey_.row));
  for (size_t s = 0; s < draws; ++s) {
    for (size_t l = 0; l < touches; ++l) {
      double& uniform = uniform_[s * touches + l];
      uniform = random.uniform();
      if (!(uniform < journey_.p[l])) continue;
      add_step(journey_.steps.row(static_cast<int64_t>(l)), 1, {&engaged_[s * width()], width()});
      g_[s] += journey_.g[l];
    }
  }
}

void GeneralOutcome::means(std::span<const double> share, std::vector<double>& values) {
  const size_t touches = share.size();
  values.clear();
  if (std::ranges::all_of(share, [](double of) { return of == 0 || of == 1; })) {
    edited_.assign(width(), 0.0f);
    double g = 0;
    for (size_t l = 0; l < touches; ++l) {
      if (share[l] == 0) continue;
      add_step(journey_.steps.row(static_cast<int64_t>(l)), 1, edited_);
      g += journey_.g[l];
    }
    values.push_back(outcome(edited_.data(), g));
    return;
  }
  prepare();
  if (exact_) {
    folded_ = table_;
    for (size_t l = touches; l-- > 0;) {
      const size_t half = size_t{1} << l;
      for (size_t at = 0; at < half; ++at) {
        folded_[at] = (1 - share[l]) * folded_[at] + share[l] * folded_[at + half];
      }
    }
    values.push_back(folded_[0]);
    return;
  }
  for (size_t s = 0; s < static_cast<size_t>(how_.draws); ++s) {
    edited_.assign(&engaged_[s * width()], &engaged_[s * width()] + width());
    double g = g_[s];
    for (size_t l = 0; l < touches; ++l) {
      const double uniform = uniform_[s * touches + l];
      const bool engaged = uniform < share[l];
      if (engaged == (uniform < journey_.p[l])) continue;
      add_step(journey_.steps.row(static_cast<int64_t>(l)), engaged ? 1.0f : -1.0f, edited_);
      g += engaged ? journey_.g[l] : -journey_.g[l];
    }
    values.push_back(outcome(edited_.data(), g));
  }
}

void GeneralOutcome::shapley_of_table(std::vector<double>& values) {
  const size_t touches = journey_.p.size();
  folded_ = table_;  // becomes v by subset
  for (size_t l = 0; l < touches; ++l) {
    const size_t bit = size_t{1} << l;
    for (size_t set = 0; set < folded_.size(); ++set) {
      if ((set & bit) == 0) continue;
      folded_[set] = journey_.p[l] * folded_[set] + (1 - journey_.p[l]) * folded_[set - bit];
    }
  }
  for (size_t set = 0; set + 1 < folded_.size(); ++set) {
    // |S|! (L-1-|S|)! / L! = 1 / (L choose(L-1, |S|)).
    double weight = 1.0 / static_cast<double>(touches);
    for (int at = 1; at <= std::popcount(set); ++at)
      weight *= at / (static_cast<double>(touches) - at);
    for (size_t l = 0; l < touches; ++l) {
      const size_t bit = size_t{1} << l;
      if ((set & bit) == 0) values[l] += weight * (folded_[set + bit] - folded_[set]);
    }
  }
}

void GeneralOutcome::shapley(std::vector<double>& values) {
  const size_t touches = journey_.p.size();
  values.assign(touches, 0.0);
  prepare();
  if (exact_) return shapley_of_table(values);
  std::vector<size_t> order(touches);
  Rng random(how_.seed, Stream::permutation, static_cast<uint64_t>(journey_.row));
  for (size_t s = 0; s < static_cast<size_t>(how_.draws); ++s) {
    std::iota(order.begin(), order.end(), size_t{0});
    edited_.assign(width(), 0.0f);
    double g = 0, before = outcome(edited_.data(), g);
    for (size_t left = touches; left > 0; --left) {
      std::swap(order[left - 1], order[random.below(left)]);
      const size_t l = order[left - 1];
      if (!(uniform_[s * touches + l] < journey_.p[l])) continue;
      add_step(journey_.steps.row(static_cast<int64_t>(l)), 1, edited_);
      g += journey_.g[l];
      const double after = outcome(edited_.data(), g);
      values[l] += (after - before) / static_cast<double>(how_.draws);
      before = after;
    }
  }
}

}  // namespace alm
