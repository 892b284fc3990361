#include "engine/estimate/backdoor_fit.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>

#include "engine/estimate/row_values.h"
#include "engine/model/scan.h"
#include "kernels/base/hash.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

// The `most` clusters with most touches in the rows of a scan, ties to the lower id; ascending.
template <class Scan>
std::vector<int64_t> most_touched(int64_t clusters, int64_t most, int64_t threads, const Scan& scan,
                                  Communicator& world) {
  std::vector<std::vector<int64_t>> counts(static_cast<size_t>(threads),
                                           std::vector<int64_t>(static_cast<size_t>(clusters)));
  scan("back-door regression, counting touches", [&](const io::Journeys& journeys, int64_t thread) {
    for (int64_t row = 0; row < journeys.size(); ++row) {
      if (!(weight_of(journeys, row) > 0)) continue;
      for (const uint32_t k : clusters_of(journeys, row)) ++counts[static_cast<size_t>(thread)][k];
    }
  });
  std::vector<int64_t>& total = counts[0];
  for (size_t thread = 1; thread < counts.size(); ++thread) {
    for (size_t k = 0; k < total.size(); ++k) total[k] += counts[thread][k];
  }
  world.all_reduce_sum(std::span<int64_t>(total), "touches of clusters");
  std::vector<int64_t> chosen;
  for (int64_t k = 0; k < clusters; ++k) {
    if (total[static_cast<size_t>(k)] > 0) chosen.push_back(k);
  }
  const int64_t seen = static_cast<int64_t>(chosen.size());
  if (seen > most) {
    std::stable_sort(chosen.begin(), chosen.end(), [&](int64_t left, int64_t right) {
      return total[static_cast<size_t>(left)] > total[static_cast<size_t>(right)];
    });
    chosen.resize(static_cast<size_t>(most));
    std::sort(chosen.begin(), chosen.end());
    log_info(
        format("back-door regression: the %s most touched clusters have a coefficient each, "
               "the other %s share one",
               with_commas(most).c_str(), with_commas(seen - most).c_str()));
  }
  return chosen;
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
  const std::vector<double>& all = model_.coefficients();
  for (size_t at = static_cast<size_t>(1 + model_.clusters()); at < all.size(); ++at) {
    context_scale_ += all[at] * all[at];
  }
  context_scale_ = std::sqrt(context_scale_);
}

double BackdoorPredictor::linear(const io::Journeys& journeys, int64_t row) const {
  thread_local std::vector<float> x;
  backdoor_features(stats_, journeys, row, x);
  return model_.linear(clusters_of(journeys, row), x);
}

double BackdoorPredictor::context_part(const io::Journeys& journeys, int64_t row,
                                       double linear) const {
  const std::vector<double>& all = model_.coefficients();
  double part = linear - all[0];
  for (const uint32_t k : clusters_of(journeys, row)) part -= all[1 + k];
  return part;
}

void BackdoorPredictor::evaluate(const io::Journeys& journeys, BackdoorValues& values) const {
  values.context_scale = context_scale_;
  values.context_part.clear();
  values.removal.clear();
  for (int64_t row = 0; row < journeys.size(); ++row) {
    const double linear = this->linear(journeys, row);
    values.context_part.push_back(context_part(journeys, row, linear));
    for (const uint32_t k : clusters_of(journeys, row)) {
      values.removal.push_back(model_.removal_effect(linear, k));
    }
  }
}

FittedBackdoor fit_backdoor(std::shared_ptr<const io::Log> log, const FeatureStats& stats,
                            const io::UserFilter& training, Compute& compute, Communicator& world,
                            int64_t most) {
  io::ColumnSet columns = io::ColumnSet::model();
  // Where bad rows are skipped all columns are read, so that the rows here are those of the fits.
  if (log->options().on_bad_row == io::OnBadRow::fail) {
    columns.item = columns.touch_dense = columns.touch_cat = columns.mediator = false;
    columns.touch_time = columns.time = false;
  }
  const auto scan = [&](const std::string& title,
                        const std::function<void(const io::Journeys&, int64_t)>& body) {
    scan_log(log, compute, world, training, columns, title, body);
  };

  const int64_t clusters = stats.schema.clusters;
  FittedBackdoor result;
  std::vector<uint32_t> slot(static_cast<size_t>(clusters));  // place of a cluster's coefficient
  std::iota(slot.begin(), slot.end(), 0u);
  int64_t slots = clusters;
  if (clusters > most) {
    result.own = most_touched(clusters, most, compute.threads(), scan, world);
    slots = static_cast<int64_t>(result.own.size()) + 1;
    std::fill(slot.begin(), slot.end(), static_cast<uint32_t>(slots - 1));  // the shared one
    for (size_t at = 0; at < result.own.size(); ++at) {
      slot[static_cast<size_t>(result.own[at])] = static_cast<uint32_t>(at);
    }
  }

  BackdoorFit fit(slots, backdoor_features_width(stats), stats.schema.outcome);
  struct Thread {
    BackdoorSums sums;
    std::vector<float> x;
    std::vector<uint32_t> slots;
  };
  std::vector<Thread> threads(static_cast<size_t>(compute.threads()),
                              Thread{BackdoorSums(fit.model()), {}, {}});
  do {
    for (Thread& thread : threads) thread.sums.clear();
    scan(format("back-door regression, pass %lld", static_cast<long long>(fit.passes() + 1)),
         [&](const io::Journeys& journeys, int64_t index) {
           Thread& thread = threads[static_cast<size_t>(index)];
           for (int64_t row = 0; row < journeys.size(); ++row) {
             backdoor_features(stats, journeys, row, thread.x);
             thread.slots.clear();
             for (const uint32_t k : clusters_of(journeys, row)) thread.slots.push_back(slot[k]);
             thread.sums.add(fit.model(), thread.slots, thread.x,
                             journeys.outcome[static_cast<size_t>(row)], weight_of(journeys, row));
           }
         });
    for (size_t at = 1; at < threads.size(); ++at) threads[0].sums.merge(threads[at].sums);
  } while (!fit.step(threads[0].sums, world, "back-door regression"));
  if (!fit.converged()) {
    log_warning(
        "the back-door regression had not converged when it was stopped; its values are near");
  }

  const std::vector<double>& fitted = fit.model().coefficients();
  result.coefficients.push_back(fitted[0]);
  for (const uint32_t at : slot) result.coefficients.push_back(fitted[1 + at]);
  result.coefficients.insert(result.coefficients.end(), fitted.begin() + 1 + slots, fitted.end());
  return result;
}

}  // namespace alm
