#include "engine/estimate/backdoor_fit.h"

#include <cmath>

#include "engine/model/scan.h"
#include "kernels/base/hash.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

std::span<const uint32_t> touched(const io::Journeys& journeys, int64_t row) {
  const size_t at = static_cast<size_t>(row);
  const int64_t begin = journeys.touch_begin[at];
  return {journeys.cluster.data() + begin,
          static_cast<size_t>(journeys.touch_begin[at + 1] - begin)};
}

}  // namespace

int64_t backdoor_features_width(const FeatureStats& stats) {
  return stats.dense.width() + stats.schema.cat * kBackdoorLevels;
}

void backdoor_features(const FeatureStats& stats, const io::Journeys& journeys, int64_t row,
                       std::vector<float>& x) {
  const int64_t dense = stats.schema.dense;
  x.assign(static_cast<size_t>(backdoor_features_width(stats)), 0.0f);
  for (int64_t column = 0; column < dense; ++column) {
    const size_t at = static_cast<size_t>(column);
    const float value = journeys.dense[static_cast<size_t>(row * dense + column)];
    if (!std::isnan(value)) {
      x[at] = (value - stats.dense.mean[at]) * stats.dense.inverse_sd[at];
    } else if (stats.dense.missing_slot[at] >= 0) {
      x[static_cast<size_t>(dense + stats.dense.missing_slot[at])] = 1;
    }
  }
  for (int64_t column = 0; column < stats.schema.cat; ++column) {
    const int64_t id = journeys.cat[static_cast<size_t>(row * stats.schema.cat + column)];
    const bool small = id >= 0 && id < kBackdoorLevels;
    const int64_t level = small ? id
                                : table_row(static_cast<uint64_t>(id),
                                            static_cast<uint64_t>(column), kBackdoorLevels);
    x[static_cast<size_t>(stats.dense.width() + column * kBackdoorLevels + level)] = 1;
  }
}

BackdoorPredictor::BackdoorPredictor(const FeatureStats& stats, std::vector<double> coefficients)
    : stats_(stats),
      model_(stats.schema.clusters, backdoor_features_width(stats), stats.schema.outcome) {
  if (!coefficients.empty()) model_.set_coefficients(std::move(coefficients));
}

double BackdoorPredictor::linear(const io::Journeys& journeys, int64_t row) const {
  thread_local std::vector<float> x;
  backdoor_features(stats_, journeys, row, x);
  return model_.linear(touched(journeys, row), x);
}

std::vector<double> fit_backdoor(std::shared_ptr<const io::Log> log, const FeatureStats& stats,
                                 const io::UserFilter& training, Compute& compute,
                                 Communicator& world) {
  BackdoorFit fit(stats.schema.clusters, backdoor_features_width(stats), stats.schema.outcome);
  std::vector<BackdoorSums> sums(static_cast<size_t>(compute.threads()), BackdoorSums(fit.model()));
  std::vector<std::vector<float>> x(sums.size());
  io::ColumnSet columns = io::ColumnSet::model();
  // Where bad rows are skipped all columns are read, so that the rows here are those of the fits.
  if (log->options().on_bad_row == io::OnBadRow::fail) {
    columns.item = columns.touch_dense = columns.touch_cat = columns.mediator = false;
    columns.touch_time = columns.time = false;
  }
  do {
    for (BackdoorSums& of : sums) of.clear();
    scan_log(log, compute, world, training, columns,
             format("back-door regression, pass %lld", static_cast<long long>(fit.passes() + 1)),
             [&](const io::Journeys& journeys, int64_t thread) {
               const size_t at = static_cast<size_t>(thread);
               for (int64_t row = 0; row < journeys.size(); ++row) {
                 const size_t i = static_cast<size_t>(row);
                 backdoor_features(stats, journeys, row, x[at]);
                 sums[at].add(fit.model(), touched(journeys, row), x[at], journeys.outcome[i],
                              journeys.weight.empty() ? 1.0 : journeys.weight[i]);
               }
             });
    for (size_t thread = 1; thread < sums.size(); ++thread) sums[0].merge(sums[thread]);
  } while (!fit.step(sums[0], world, "back-door regression"));
  if (!fit.converged()) {
    log_warning(
        "the back-door regression had not converged when it was stopped; its values are near");
  }
  return fit.model().coefficients();
}

}  // namespace alm
