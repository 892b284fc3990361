#include "engine/model/inputs.h"

#include <algorithm>
#include <cmath>

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

void Inputs::fill(const io::Journeys& from, const FeatureStats& stats, const ModelOptions& options,
                  int64_t positions) {
  const io::LogSchema& schema = stats.schema;
  journeys = from.size();
  touches = from.touches();
  csr = {from.touch_begin};
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
  if (from.mediator.empty()) {
    mediator.assign(touch_count, kMediatorMissing);
  } else {
    mediator.assign(from.mediator.begin(), from.mediator.end());
  }
}

}  // namespace alm
