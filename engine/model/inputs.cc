#include "engine/model/inputs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/base/hash.h"
#include "kernels/ops.h"

namespace alm {
namespace {

constexpr int64_t kCountCap = 8;

template <class From, class To>
void append(const std::vector<From>& from, int64_t first, int64_t last, std::vector<To>& to) {
  to.insert(to.end(), from.begin() + first, from.begin() + last);
}

// Row 0 where the item has none of its own.
int64_t item_row(uint64_t item, const FeatureStats& stats, const ModelOptions& options) {
  const int64_t row = table_row(item, 0, options.item_rows);
  return stats.item_admitted[static_cast<size_t>(row)] != 0 ? row : 0;
}

}  // namespace

void ProxyInputs::fill(const io::Journeys& from, const FeatureStats& stats,
                       const ModelOptions& options, std::span<const float> weight) {
  const io::LogSchema& schema = stats.schema;
  const size_t touches = static_cast<size_t>(from.touches());
  columns = 2 * proxies_read(options, schema.proxies, schema.proxy_leaky);
  seen.assign(touches * static_cast<size_t>(columns), 0.0f);
  int64_t pair = 0;
  for (int64_t column = 0; column < schema.proxies && columns > 0; ++column) {
    if (!reads_proxy(options, column, schema.proxy_leaky)) continue;
    for (int64_t touch = 0; touch < from.touches(); ++touch) {
      const uint8_t value = from.proxy[static_cast<size_t>(touch * schema.proxies + column)];
      if (value <= 1) seen[static_cast<size_t>(touch * columns + pair + (value == 0))] = 1.0f;
    }
    pair += 2;
  }
  match.assign(from.match.begin(), from.match.end());
  match.resize(touches, std::numeric_limits<float>::quiet_NaN());
  outcome.resize(touches);
  touch_weight.resize(touches);
  journey_weight.resize(touches);
  log_frequency.resize(touches);
  touch_ids.resize(2 * touches);
  // As many as there are touches at most: memory settles with the largest block.
  for (std::vector<int64_t>* of : {&pair_upload, &pair_touch}) of->reserve(touches), of->clear();
  pair_ids.reserve(2 * touches), pair_ids.clear();
  pair_weight.reserve(touches), pair_weight.clear();
  uploads = 0;
  for (int64_t row = 0; row < from.size(); ++row) {
    const size_t i = static_cast<size_t>(row);
    const size_t begin = static_cast<size_t>(from.touch_begin[i]);
    const size_t end = static_cast<size_t>(from.touch_begin[i + 1]);
    const auto matches = [&](size_t touch) {
      return from.outcome[i] > 0 && match[touch] >= kMatched;
    };
    int64_t matched = 0;
    for (size_t touch = begin; touch < end; ++touch) matched += matches(touch);
    for (size_t touch = begin; touch < end; ++touch) {
      const int64_t cluster = from.cluster[touch];
      outcome[touch] = from.outcome[i];
      touch_weight[touch] = weight[i];
      journey_weight[touch] = weight[i] / static_cast<float>(end - begin);
      log_frequency[touch] = stats.cluster_log_share[static_cast<size_t>(cluster)];
      touch_ids[2 * touch] = cluster;
      touch_ids[2 * touch + 1] = matches(touch) ? uploads : -1;
      if (!matches(touch)) continue;
      pair_upload.push_back(uploads);
      pair_touch.push_back(static_cast<int64_t>(touch));
      pair_weight.push_back(weight[i] / static_cast<float>(matched));
      pair_ids.push_back(cluster);
      pair_ids.push_back(uploads);
    }
    uploads += matched > 0;
  }
  pair_begin[1] = static_cast<int64_t>(pair_touch.size());
  touch_begin[1] = from.touches();
}

void ArmTargets::clear() {
  for (std::vector<float>* of : {&mediator_input, &mediator, &outcome}) of->clear();
}

void ArmTargets::add(std::span<const uint8_t> mediators, std::span<const float> outcomes) {
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  for (size_t row = 0; row < mediators.size(); ++row) {
    const bool missing = mediators[row] == kMediatorMissing;
    mediator_input.push_back(missing ? 0.0f : mediators[row]);
    mediator.push_back(missing ? kNone : mediators[row]);
    outcome.push_back(missing ? kNone : outcomes[row]);
  }
}

void LawTargets::clear() {
  mediator.clear();
  weight.clear();
}

void LawTargets::add(std::span<const uint8_t> mediators, float of_journey) {
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  for (const uint8_t value : mediators) {
    mediator.push_back(value == kMediatorMissing ? kNone : value);
    weight.push_back(of_journey);
  }
}

ProxyView ProxyInputs::view() const {
  const int64_t touches = touch_begin[1];
  return {.seen = {seen.data(), touches, columns},
          .match = match,
          .outcome = outcome,
          .touch_weight = touch_weight,
          .journey_weight = journey_weight,
          .log_frequency = log_frequency,
          .uploads = uploads,
          .pair_upload = pair_upload,
          .pair_touch = pair_touch,
          .pair_weight = pair_weight,
          .pair_ids = {pair_ids.data(), pairs(), 2},
          .touch_ids = {touch_ids.data(), touches, 2},
          .pair_begin = pair_begin,
          .touch_begin = touch_begin};
}

void ProxyInputs::add_known(LossSums& sums) const {
  for (size_t touch = 0; touch < outcome.size(); ++touch) {
    sums.adversary_outcome += double{journey_weight[touch]} * double{outcome[touch]};
  }
  for (const float of_pair : pair_weight) sums.contrastive_weight += double{of_pair};
}

ModelInputs Inputs::view() const {
  return {.journeys = journeys,
          .touches = touches,
          .csr = csr,
          .dense = dense,
          .dense_scales = dense_scales_,
          .touch_dense = touch_dense,
          .touch_dense_scales = touch_dense_scales_,
          .touch_scalars = {touch_scalars.data(), touches, kTouchScalars},
          .cat_rows = cat_rows,
          .item_rows = item_rows,
          .cluster = cluster,
          .position = position,
          .outcome = outcome,
          .weight = weight,
          .mediator = mediator,
          .arm = arm.view(),
          .law = law.view(),
          .proxy = proxy.view(),
          .removal = removal.view()};
}

void Inputs::clear() {
  journeys = touches = 0;
  touch_begin_.assign(1, 0);
  for (auto* of : {&dense_, &touch_dense_, &touch_scalars, &outcome, &weight}) of->clear();
  for (auto* of : {&cat_rows, &item_rows, &cluster, &position, &log_row}) of->clear();
  mediator.clear();
  arm.clear();
  law.clear();
}

// Position and scalars of a touch.
void Inputs::add_place(const io::Journeys& from, const PlacedTouch& placed, int64_t positions) {
  float recency = 0;
  if (!from.time.empty() && !from.touch_time.empty()) {
    const int64_t before = from.time[static_cast<size_t>(placed.journey)] -
                           from.touch_time[static_cast<size_t>(placed.touch)];
    // Not log1p, which takes four times as long: below a second rounding 1 + x to a float is no
    // loss.
    recency = std::log(1.0f + static_cast<float>(std::max<int64_t>(before, 0)) * 1e-3f) * 0.1f;
  }
  position.push_back(std::min(placed.position, positions - 1));
  touch_scalars.push_back(recency);
  touch_scalars.push_back(static_cast<float>(std::min(placed.earlier, kCountCap)));
}

void Inputs::add_touches(const JourneyRange& range, const FeatureStats& stats,
                         const ModelOptions& options, int64_t positions) {
  const io::Journeys& from = range.of;
  for (int64_t journey = range.first; journey < range.last; ++journey) {
    const size_t begin = static_cast<size_t>(from.touch_begin[static_cast<size_t>(journey)]);
    const size_t end = static_cast<size_t>(from.touch_begin[static_cast<size_t>(journey) + 1]);
    touch_begin_.push_back(touch_begin_.back() + static_cast<int64_t>(end - begin));
    for (size_t touch = begin; touch < end; ++touch) {
      int64_t earlier = 0;
      for (size_t other = begin; other < touch; ++other) {
        earlier += from.cluster[other] == from.cluster[touch];
      }
      add_place(
          from,
          {journey, static_cast<int64_t>(touch), static_cast<int64_t>(touch - begin), earlier},
          positions);
    }
  }
  if (!stats.schema.item) return;
  const size_t first = item_rows.size();
  const size_t first_touch =
      static_cast<size_t>(from.touch_begin[static_cast<size_t>(range.first)]);
  for (size_t touch = first_touch; item_rows.size() < position.size(); ++touch) {
    item_rows.push_back(table_row(from.item[touch], 0, options.item_rows));
    __builtin_prefetch(&stats.item_admitted[static_cast<size_t>(item_rows.back())]);
  }
  for (int64_t& row : std::span(item_rows).subspan(first)) {
    row = stats.item_admitted[static_cast<size_t>(row)] != 0 ? row : 0;
  }
}

void Inputs::add(const JourneyRange& range, const FeatureStats& stats, const ModelOptions& options,
                 int64_t positions) {
  const io::LogSchema& schema = stats.schema;
  const io::Journeys& from = range.of;
  const auto [first, last] = std::pair(range.first, range.last);
  const int64_t first_touch = from.touch_begin[static_cast<size_t>(first)];
  const int64_t last_touch = from.touch_begin[static_cast<size_t>(last)];
  add_touches(range, stats, options, positions);
  dense_scales_ = stats.dense.view();
  touch_dense_scales_ = stats.touch_dense.view();
  journeys += last - first;
  touches += last_touch - first_touch;
  csr = {touch_begin_};
  append(from.dense, first * schema.dense, last * schema.dense, dense_);
  append(from.touch_dense, first_touch * schema.touch_dense, last_touch * schema.touch_dense,
         touch_dense_);
  dense = {dense_.data(), journeys, schema.dense};
  touch_dense = {touch_dense_.data(), touches, schema.touch_dense};
  append(from.cluster, first_touch, last_touch, cluster);
  if (!from.row.empty()) append(from.row, first, last, log_row);
  for (int64_t at = first * schema.cat; at < last * schema.cat; ++at) {
    cat_rows.push_back(table_row(static_cast<uint64_t>(from.cat[static_cast<size_t>(at)]),
                                 static_cast<uint64_t>(at % schema.cat), options.cat_rows));
  }

  if (!from.outcome.empty()) append(from.outcome, first, last, outcome);
  if (schema.outcome == io::OutcomeKind::continuous) {
    for (float& value :
         std::span(outcome).subspan(outcome.size() - static_cast<size_t>(last - first))) {
      value = stats.standardised_outcome(value);
    }
  }
  if (from.weight.empty()) {
    weight.resize(static_cast<size_t>(journeys), 1.0f);
  } else {
    append(from.weight, first, last, weight);
  }
  if (from.mediator.empty() || options.proxy_mode()) {
    mediator.resize(static_cast<size_t>(touches), kMediatorMissing);
  } else {
    append(from.mediator, first_touch, last_touch, mediator);
  }
  if (schema.is_arm_log() && !outcome.empty()) {
    const size_t begin = static_cast<size_t>(journeys - (last - first));
    arm.add(std::span(mediator).subspan(begin), std::span(outcome).subspan(begin));
  }
  if (options.general_head()) {
    for (size_t row = static_cast<size_t>(journeys - (last - first)); row < weight.size(); ++row) {
      const size_t begin = static_cast<size_t>(touch_begin_[row]);
      const size_t end = static_cast<size_t>(touch_begin_[row + 1]);
      law.add(std::span(mediator).subspan(begin, end - begin), weight[row]);
    }
  }
}

void Inputs::pad(int64_t more_journeys, int64_t more_touches, const FeatureStats& stats,
                 const ModelOptions& options) {
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  const io::LogSchema& schema = stats.schema;
  for (int64_t one = 1; one <= more_journeys; ++one) {
    touch_begin_.push_back(touches + more_touches * one / more_journeys);
  }
  journeys += more_journeys;
  touches += more_touches;
  const size_t n = static_cast<size_t>(journeys);
  const size_t t = static_cast<size_t>(touches);
  csr = {touch_begin_};
  dense_.resize(n * static_cast<size_t>(schema.dense), kNone);
  touch_dense_.resize(t * static_cast<size_t>(schema.touch_dense), kNone);
  dense = {dense_.data(), journeys, schema.dense};
  touch_dense = {touch_dense_.data(), touches, schema.touch_dense};
  dense_scales_ = stats.dense.view();
  touch_dense_scales_ = stats.touch_dense.view();
  touch_scalars.resize(t * static_cast<size_t>(kTouchScalars));
  for (std::vector<int64_t>* of : {&cluster, &position}) of->resize(t);
  if (schema.item) item_rows.resize(t);
  cat_rows.resize(n * static_cast<size_t>(schema.cat));
  for (std::vector<float>* of : {&outcome, &weight}) of->resize(n);
  mediator.resize(t, kMediatorMissing);
  if (options.general_head()) {
    law.mediator.resize(t, kNone);
    law.weight.resize(t);
  }
  if (!schema.is_arm_log()) return;
  arm.mediator_input.resize(n);
  for (std::vector<float>* of : {&arm.mediator, &arm.outcome}) of->resize(n, kNone);
}

void Inputs::fill_touches(const io::Journeys& from, std::span<const PlacedTouch> placed,
                          const FeatureStats& stats, const ModelOptions& options,
                          int64_t positions) {
  clear();
  touches = std::ssize(placed);
  const int64_t width = stats.schema.touch_dense;
  for (const PlacedTouch& one : placed) {
    const size_t touch = static_cast<size_t>(one.touch);
    add_place(from, one, positions);
    cluster.push_back(from.cluster[touch]);
    append(from.touch_dense, one.touch * width, (one.touch + 1) * width, touch_dense_);
    if (stats.schema.item) item_rows.push_back(item_row(from.item[touch], stats, options));
  }
  touch_dense = {touch_dense_.data(), touches, width};
  touch_dense_scales_ = stats.touch_dense.view();
}

void Inputs::fill(const io::Journeys& from, const FeatureStats& stats, const ModelOptions& options,
                  int64_t positions) {
  clear();
  add({from, 0, from.size()}, stats, options, positions);
  if (options.proxy_mode()) proxy.fill(from, stats, options, weight);
}

}  // namespace alm
