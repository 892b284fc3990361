#include "engine/estimate/control_log.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "engine/model/feature_stats.h"
#include "io/schema.h"
#include "kernels/base/hash.h"
#include "kernels/base/rng.h"

namespace alm {
namespace {

constexpr uint8_t kProxyUnknown = 255;

// Gives the places first..last of `order` to each other.
void turn(std::span<const int64_t> order, std::vector<int64_t>& from) {
  for (size_t at = 0; at < order.size(); ++at) {
    from[static_cast<size_t>(order[at])] = order[(at + 1) % order.size()];
  }
}

// Appends journey `row` of `from` with the touches of journey `donor` in the place of its own (-1:
// with none). Times of touches keep their distance to the start of the window.
void append_with_touches(const io::Journeys& from, int64_t row, int64_t donor,
                         const io::LogSchema& schema, io::Journeys& to) {
  const size_t at = static_cast<size_t>(donor < 0 ? row : donor);
  const int64_t begin = from.touch_begin[at];
  const int64_t end = donor < 0 ? begin : from.touch_begin[at + 1];
  to.row.push_back(from.row[static_cast<size_t>(row)]);
  io::for_each_column([&](const auto& column) {
    const auto& source = from.*column.values;
    if (source.empty()) return;
    const bool journey = column.scope == io::Scope::journey;
    const int64_t width = column.width(schema);
    auto& target = to.*column.values;
    target.insert(target.end(), source.begin() + (journey ? row : begin) * width,
                  source.begin() + (journey ? row + 1 : end) * width);
  });
  const size_t first = static_cast<size_t>(to.touch_begin.back());
  to.touch_begin.push_back(to.touch_begin.back() + end - begin);
  if (from.time.empty()) return;
  const int64_t later = from.time[static_cast<size_t>(row)] - from.time[at];
  for (size_t touch = first; touch < static_cast<size_t>(to.touch_begin.back()); ++touch) {
    if (!to.touch_time.empty()) to.touch_time[touch] += later;
    if (!to.mediator_time.empty() && to.mediator_time[touch] >= 0) to.mediator_time[touch] += later;
  }
}

}  // namespace

std::vector<int64_t> rotation(std::span<const Movable> items) {
  std::vector<int64_t> order(items.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto of = [&](size_t at) -> const Movable& {
    return items[static_cast<size_t>(order[at])];
  };
  std::sort(order.begin(), order.end(), [&](int64_t left, int64_t right) {
    const Movable& a = items[static_cast<size_t>(left)];
    const Movable& b = items[static_cast<size_t>(right)];
    return std::tie(a.group, a.stratum, a.key, left) < std::tie(b.group, b.stratum, b.key, right);
  });
  std::vector<int64_t> from(items.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    const auto same_group = [&] { return end < order.size() && of(end).group == of(begin).group; };
    const auto ends_cell = [&] { return of(end).stratum != of(end - 1).stratum; };
    while (same_group() && (end == begin + 1 || !ends_cell())) ++end;
    // One left over at the end of its group goes with these.
    const bool one_left =
        same_group() && (end + 1 == order.size() || of(end + 1).group != of(begin).group);
    end += one_left;
    turn({order.data() + begin, end - begin}, from);
    begin = end;
  }
  return from;
}

std::vector<int64_t> next_journeys(const io::Journeys& journeys) {
  std::vector<int64_t> order(static_cast<size_t>(journeys.size()));
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto rank = [&](int64_t row) {
    const size_t i = static_cast<size_t>(row);
    return std::tuple(journeys.user[i], journeys.time[i], row);
  };
  std::sort(order.begin(), order.end(),
            [&](int64_t left, int64_t right) { return rank(left) < rank(right); });
  std::vector<int64_t> next(order.size(), -1);
  for (size_t at = 0; at + 1 < order.size(); ++at) {
    const size_t i = static_cast<size_t>(order[at]);
    if (journeys.user[i] == journeys.user[static_cast<size_t>(order[at + 1])]) {
      next[i] = order[at + 1];
    }
  }
  return next;
}

ChangedLog::ChangedLog(std::shared_ptr<const io::Log> log)
    : log_(std::move(log)), schema_(log_->schema()) {
  schema_.truth = schema_.removal_truth = schema_.randomised = false;
}

io::ReadReport DroppedProxyLog::read_block(int64_t block, const io::ColumnSet& columns,
                                           io::Journeys& out) const {
  const io::ReadReport report = log_->read_block(block, columns, out);
  const size_t proxies = static_cast<size_t>(schema_.proxies);
  for (size_t at = static_cast<size_t>(column_); at < out.proxy.size(); at += proxies) {
    out.proxy[at] = kProxyUnknown;
  }
  return report;
}

ControlLog::ControlLog(std::shared_ptr<const io::Log> log, Control control, uint64_t seed,
                       ContextStratum stratum)
    : ChangedLog(std::move(log)),
      control_(control),
      seed_(mix(seed + static_cast<uint64_t>(control))),
      stratum_(std::move(stratum)) {}

uint64_t ControlLog::key(int64_t row, int64_t position) const {
  constexpr uint64_t kPlaces = 1 << 20;  // more than any --max-touches
  const uint64_t index = static_cast<uint64_t>(row) * kPlaces + static_cast<uint64_t>(position);
  return Rng(seed_, Stream::permutation, index).bits64();
}

io::ReadReport ControlLog::read_block(int64_t block, const io::ColumnSet& columns,
                                      io::Journeys& out) const {
  ControlReach unused;
  return read(block, columns, out, unused);
}

io::ReadReport ControlLog::read(int64_t block, const io::ColumnSet& columns, io::Journeys& out,
                                ControlReach& reach) const {
  io::ColumnSet wanted = columns;
  wanted.cluster = wanted.dense = wanted.cat = wanted.time = true;  // what the strata rest on
  const bool shuffles_mediators = control_ == Control::shuffled_mediator;
  if (shuffles_mediators) wanted.mediator = true;
  if (shuffles_mediators || (control_ == Control::shuffled_treatment && schema_.is_arm_log())) {
    const io::ReadReport report = log_->read_block(block, wanted, out);
    shuffles_mediators ? shuffle_mediators(out, reach) : shuffle_arms(out, reach);
    return report;
  }
  io::Journeys whole;
  const io::ReadReport report = log_->read_block(block, wanted, whole);
  const std::vector<int64_t> donors =
      control_ == Control::future_touches ? next_journeys(whole) : shuffled_rows(whole);
  out.clear();
  for (int64_t row = 0; row < whole.size(); ++row) {
    const int64_t donor = donors[static_cast<size_t>(row)];
    reach.touches += whole.touches_of(row);
    if (donor >= 0 && donor != row) reach.moved += whole.touches_of(donor);
    append_with_touches(whole, row, donor, schema_, out);
  }
  return report;
}

void ControlLog::shuffle_mediators(io::Journeys& journeys, ControlReach& reach) const {
  std::vector<Movable> items;
  std::vector<size_t> touches;  // of the items: those with an observed mediator
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < journeys.size(); ++row) {
    const size_t i = static_cast<size_t>(row);
    const int64_t stratum = stratum_(journeys, row);
    const int64_t begin = journeys.touch_begin[i];
    for (int64_t at = begin; at < journeys.touch_begin[i + 1]; ++at) {
      const size_t j = static_cast<size_t>(at);
      if (journeys.mediator[j] > 1) continue;
      items.push_back({journeys.cluster[j], stratum, key(journeys.row[i], at - begin)});
      touches.push_back(j);
      rows.push_back(row);
    }
  }
  const std::vector<int64_t> from = rotation(items);
  std::vector<uint8_t> before(items.size());
  for (size_t at = 0; at < items.size(); ++at) before[at] = journeys.mediator[touches[at]];
  for (size_t at = 0; at < items.size(); ++at) {
    const size_t donor = static_cast<size_t>(from[at]);
    journeys.mediator[touches[at]] = before[donor];
    ++reach.touches;
    reach.moved += rows[at] != rows[donor];
  }
}

std::vector<int64_t> ControlLog::shuffled_rows(const io::Journeys& journeys) const {
  std::vector<Movable> items;
  for (int64_t row = 0; row < journeys.size(); ++row) {
    items.push_back({0, stratum_(journeys, row), key(journeys.row[static_cast<size_t>(row)], 0)});
  }
  return rotation(items);
}

void ControlLog::shuffle_arms(io::Journeys& journeys, ControlReach& reach) const {
  const std::vector<int64_t> from = shuffled_rows(journeys);
  const std::vector<uint32_t> before = journeys.cluster;
  for (size_t row = 0; row < from.size(); ++row) {
    journeys.cluster[row] = before[static_cast<size_t>(from[row])];
    ++reach.touches;
    reach.moved += from[row] != static_cast<int64_t>(row);
  }
}

ControlReach ControlLog::reach(Communicator& world) const {
  ControlReach reach;
  world.together("what a control moves", [&] {
    const BlockRange mine =
        blocks_of_rank(static_cast<int64_t>(blocks().size()), world.rank(), world.size());
    io::Journeys journeys;
    for (int64_t block = mine.first; block < mine.last; ++block) {
      read(block, io::ColumnSet::model(), journeys, reach);
    }
  });
  int64_t counts[2] = {reach.touches, reach.moved};
  world.all_reduce_sum(std::span<int64_t>(counts), "what a control moves");
  return {counts[0], counts[1]};
}

}  // namespace alm
