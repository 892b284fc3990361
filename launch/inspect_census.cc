#include "launch/inspect_census.h"

#include <algorithm>
#include <cmath>

namespace alm {

namespace {

void add_columns(const std::vector<float>& values, std::vector<RealRange>& columns) {
  const size_t width = columns.size();
  for (size_t at = 0; at < values.size(); at += width) {
    for (size_t column = 0; column < width; ++column) columns[column].add(values[at + column]);
  }
}

void add_known(const std::vector<int64_t>& times, Range& range) {
  for (const int64_t time : times) {
    if (time != -1) range.add(time);
  }
}

// Visits every integer that is a sum over ranks.
template <class Visit>
void for_each_sum(Census& census, Visit visit) {
  visit(census.rows);
  visit(census.touches);
  for (int64_t& count : census.counts) visit(count);
  for (int64_t& count : census.lengths) visit(count);
  const auto visit_cluster = [&](Census::Cluster& cluster) {
    visit(cluster.touches);
    visit(cluster.journeys);
    visit(cluster.mediator_known);
    visit(cluster.mediator_set);
    visit(cluster.randomised);
  };
  for (Census::Cluster& cluster : census.clusters) visit_cluster(cluster);
  visit_cluster(census.all_touches);
  for (Range* range :
       {&census.time, &census.touch_time, &census.outcome_time, &census.mediator_time}) {
    visit(range->known);
  }
  visit(census.tiny_propensities);
  for (std::vector<int64_t>* list : {&census.proxy_known, &census.proxy_set}) {
    for (int64_t& count : *list) visit(count);
  }
}

template <class Visit>
void for_each_real_range(Census& census, Visit visit) {
  for (RealRange* range : {&census.outcome, &census.weight, &census.match, &census.propensity}) {
    visit(*range);
  }
  for (std::vector<RealRange>* list : {&census.dense, &census.touch_dense}) {
    for (RealRange& range : *list) visit(range);
  }
}

}  // namespace

void RealRange::add(float value) {
  ++values;
  if (std::isnan(value)) {
    ++missing;
    return;
  }
  lowest = std::min(lowest, value);
  highest = std::max(highest, value);
}

Census::Census(const io::LogSchema& log_schema) : schema(log_schema), ids(log_schema) {
  if (schema.clusters <= kMostClusters) {
    clusters.resize(static_cast<size_t>(schema.clusters));
    cluster_outcomes.resize(clusters.size());
    last_journey_.resize(clusters.size());
  }
  dense.resize(static_cast<size_t>(schema.dense));
  touch_dense.resize(static_cast<size_t>(schema.touch_dense));
  proxy_known.resize(static_cast<size_t>(schema.proxies));
  proxy_set.resize(static_cast<size_t>(schema.proxies));
}

void Census::add(const io::Journeys& journeys, bool fresh_block) {
  rows += journeys.size();
  touches += journeys.touches();
  const bool weighted = !journeys.weight.empty();
  for (int64_t row = 0; row < journeys.size(); ++row) {
    const auto at = static_cast<size_t>(row);
    const int64_t length = journeys.touches_of(row);
    longest = std::max(longest, length);
    ++lengths[static_cast<size_t>(std::min(length, kLengths - 1))];
    // Larger ones belong to no exact sum; they show in the range.
    const double value = std::clamp(static_cast<double>(journeys.outcome[at]), -0x1p40, 0x1p40);
    outcomes.add(value);
    outcome.add(journeys.outcome[at]);
    users.add(0, journeys.user[at]);
    if (weighted) {
      weight.add(journeys.weight[at]);
      weights.add(journeys.weight[at]);
      weighted_outcomes.add(
          std::clamp(value * static_cast<double>(journeys.weight[at]), -0x1p59, 0x1p59));
      counts[kWeighted] += journeys.weight[at] > 0;
    }
  }
  add_touches(journeys);
  add_times(journeys, fresh_block);
  add_columns(journeys.dense, dense);
  add_columns(journeys.touch_dense, touch_dense);
  for (const float value : journeys.match) match.add(value);
  for (const float value : journeys.propensity) {
    propensity.add(value);
    if (std::isnan(value)) continue;
    tiny_propensities += value < kLeastPropensity;
    const double inverse = 1 / static_cast<double>(std::max(value, kLeastPropensity));
    inverse_propensities.add(inverse);
    inverse_squares.add(inverse * inverse);
  }
  const size_t views = proxy_known.size();
  for (size_t at = 0; at < journeys.proxy.size(); ++at) {
    proxy_known[at % views] += journeys.proxy[at] != 255;
    proxy_set[at % views] += journeys.proxy[at] == 1;
  }
  ids.add(journeys);
}

void Census::add_touches(const io::Journeys& journeys) {
  for (int64_t row = 0; row < journeys.size(); ++row) {
    ++journey_;
    const auto at = static_cast<size_t>(row);
    for (auto touch = static_cast<size_t>(journeys.touch_begin[at]);
         touch < static_cast<size_t>(journeys.touch_begin[at + 1]); ++touch) {
      const auto count = [&](Cluster& cluster) {
        ++cluster.touches;
        if (!journeys.mediator.empty()) {
          cluster.mediator_known += journeys.mediator[touch] != 255;
          cluster.mediator_set += journeys.mediator[touch] == 1;
        }
        if (!journeys.randomised.empty()) cluster.randomised += journeys.randomised[touch];
      };
      count(all_touches);
      if (clusters.empty()) continue;
      const size_t number = journeys.cluster[touch];
      count(clusters[number]);
      if (last_journey_[number] == journey_) continue;
      last_journey_[number] = journey_;
      ++clusters[number].journeys;
      cluster_outcomes[number].add(
          std::clamp(static_cast<double>(journeys.outcome[at]), -0x1p40, 0x1p40));
    }
  }
}

void Census::add_times(const io::Journeys& journeys, bool fresh_block) {
  for (size_t row = 0; row < journeys.time.size(); ++row) {
    const int64_t start = journeys.time[row];
    counts[kTimeFalls] += !(fresh_block && row == 0) && start < last_time_;
    last_time_ = start;
    time.add(start);
    if (!journeys.outcome_time.empty() && journeys.outcome_time[row] != -1) {
      counts[kLateUploads] += journeys.outcome_time[row] < start;
    }
  }
  for (size_t row = 0; row < journeys.outcome_time.size(); ++row) {
    counts[kUnknownUploads] += journeys.outcome[row] > 0 && journeys.outcome_time[row] == -1;
  }
  for (const int64_t when : journeys.touch_time) touch_time.add(when);
  add_known(journeys.outcome_time, outcome_time);
  add_known(journeys.mediator_time, mediator_time);
}

void Census::reduce(Communicator& world) {
  std::vector<int64_t> sums;
  for_each_sum(*this, [&](int64_t& value) { sums.push_back(value); });
  for_each_real_range(*this, [&](RealRange& range) {
    sums.push_back(range.missing);
    sums.push_back(range.values);
  });
  world.all_reduce_sum(std::span(sums), "counts of inspect");
  size_t next = 0;
  for_each_sum(*this, [&](int64_t& value) { value = sums[next++]; });
  for_each_real_range(*this, [&](RealRange& range) {
    range.missing = sums[next++];
    range.values = sums[next++];
  });

  std::vector<int64_t> lowest, highest{longest};
  std::vector<float> largest;  // and the smallest, negated
  Range* const ranges[] = {&time, &touch_time, &outcome_time, &mediator_time};
  for (const Range* range : ranges) {
    lowest.push_back(range->lowest);
    highest.push_back(range->highest);
  }
  for_each_real_range(*this, [&](RealRange& range) {
    largest.push_back(range.highest);
    largest.push_back(-range.lowest);
  });
  world.all_reduce_min(std::span(lowest), "lowest times of inspect");
  world.all_reduce_max(std::span(highest), "highest times of inspect");
  world.all_reduce_max(std::span(largest), "ranges of inspect");
  longest = highest[0];
  for (size_t at = 0; at < std::size(ranges); ++at) {
    ranges[at]->lowest = lowest[at];
    ranges[at]->highest = highest[at + 1];
  }
  next = 0;
  for_each_real_range(*this, [&](RealRange& range) {
    range.highest = largest[next++];
    range.lowest = -largest[next++];
  });

  std::vector<FixedSum> fixed = cluster_outcomes;
  FixedSum* const single[] = {&outcomes, &weights, &weighted_outcomes, &inverse_propensities,
                              &inverse_squares};
  for (const FixedSum* sum : single) fixed.push_back(*sum);
  world.all_reduce_sum(std::span(fixed), "outcomes of inspect");
  std::copy_n(fixed.begin(), cluster_outcomes.size(), cluster_outcomes.begin());
  for (size_t at = 0; at < std::size(single); ++at) {
    *single[at] = fixed[cluster_outcomes.size() + at];
  }
  users.reduce(world, "distinct users of inspect");
  io::IdCensus all(schema);
  for (const std::string& part : world.all_gather_strings(ids.pack(), "ids of inspect")) {
    all.merge(part);
  }
  ids = std::move(all);
}

}  // namespace alm
