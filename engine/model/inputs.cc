#include "engine/model/inputs.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/base/hash.h"
#include "kernels/ops.h"

namespace alm {
namespace {

constexpr int64_t kCountCap = 8;

void fill_touch_scalars(const io::Journeys& from, std::vector<float>& scalars) {
  const bool timed = !from.time.empty() && !from.touch_time.empty();
  for (int64_t journey = 0; journey < from.size(); ++journey) {
    const int64_t begin = from.touch_begin[static_cast<size_t>(journey)];
    const int64_t end = from.touch_begin[static_cast<size_t>(journey) + 1];
    for (int64_t touch = begin; touch < end; ++touch) {
      const size_t at = static_cast<size_t>(touch);
      float recency = 0;
      if (timed) {
        const int64_t before = from.time[static_cast<size_t>(journey)] - from.touch_time[at];
        recency = std::log1p(static_cast<float>(std::max<int64_t>(before, 0)) * 1e-3f) * 0.1f;
      }
      int64_t earlier = 0;
      for (int64_t other = begin; other < touch; ++other) {
        earlier += from.cluster[static_cast<size_t>(other)] == from.cluster[at];
      }
      scalars[at * Inputs::kTouchScalars] = recency;
      scalars[at * Inputs::kTouchScalars + 1] = static_cast<float>(std::min(earlier, kCountCap));
    }
  }
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

void Inputs::fill(const io::Journeys& from, const FeatureStats& stats, const ModelOptions& options,
                  int64_t positions) {
  const io::LogSchema& schema = stats.schema;
  journeys = from.size();
  touches = from.touches();
  csr = {from.touch_begin};
  log_row = from.row;
  dense = {from.dense.data(), journeys, schema.dense};
  touch_dense = {from.touch_dense.data(), touches, schema.touch_dense};
  const size_t touch_count = static_cast<size_t>(touches);

  cat_rows.resize(static_cast<size_t>(journeys * schema.cat));
  for (int64_t row = 0; row < journeys; ++row) {
    for (int64_t column = 0; column < schema.cat; ++column) {
      const size_t at = static_cast<size_t>(row * schema.cat + column);
      cat_rows[at] = table_row(static_cast<uint64_t>(from.cat[at]), static_cast<uint64_t>(column),
                               options.cat_rows);
    }
  }
  item_rows.resize(schema.item ? touch_count : 0);
  for (size_t touch = 0; touch < item_rows.size(); ++touch) {
    const int64_t row = table_row(from.item[touch], 0, options.item_rows);
    item_rows[touch] = stats.item_admitted[static_cast<size_t>(row)] != 0 ? row : 0;
  }
  cluster.assign(from.cluster.begin(), from.cluster.end());
  position.resize(touch_count);
  for (int64_t row = 0; row < journeys; ++row) {
    const int64_t begin = from.touch_begin[static_cast<size_t>(row)];
    for (int64_t touch = begin; touch < from.touch_begin[static_cast<size_t>(row) + 1]; ++touch) {
      position[static_cast<size_t>(touch)] = std::min(touch - begin, positions - 1);
    }
  }
  touch_scalars.resize(touch_count * kTouchScalars);
  fill_touch_scalars(from, touch_scalars);

  outcome.assign(from.outcome.begin(), from.outcome.end());
  if (schema.outcome == io::OutcomeKind::continuous) {
    for (float& value : outcome) value = stats.standardised_outcome(value);
  }
  if (from.weight.empty()) {
    weight.assign(static_cast<size_t>(journeys), 1.0f);
  } else {
    weight.assign(from.weight.begin(), from.weight.end());
  }
  if (options.proxy_mode()) proxy.fill(from, stats, options, weight);
  if (from.mediator.empty() || options.proxy_mode()) {
    mediator.assign(touch_count, kMediatorMissing);
  } else {
    mediator.assign(from.mediator.begin(), from.mediator.end());
  }
}

}  // namespace alm
