#include "io/journey_builder.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "io/schema.h"
#include "kernels/base/check.h"
#include "kernels/base/hash.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

constexpr int64_t kMostRows = int64_t{1} << 20;  // of a journey: they are held in memory

constexpr uint32_t kNoGroup = 0xffffffffu;

size_t at(int64_t index) {
  return static_cast<size_t>(index);
}

int64_t floor_div(int64_t value, int64_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

}  // namespace

JourneyBuilder::JourneyBuilder(const Mapping& mapping, const RowParser& parser,
                               const ImportFacts& facts)
    : mapping_(mapping), facts_(facts) {
  for (int64_t slot = 0; slot < kSlots; ++slot) columns_[at(slot)] = parser.columns_of(slot);
}

void JourneyBuilder::build(const SpilledRows& rows) {
  groups_.clear();
  flat_.clear();
  touch_group_.clear();
  outcomes_.clear();
  journeys_.clear();
  counts_ = {};
  list_rows(rows);
  ALM_CHECK(rows_.size() < kNoGroup);
  slots_.assign(std::bit_ceil(2 * rows_.size() + 1), kNoGroup);
  for (const RowAt& row : rows_) take(rows, row);
  order_touches();
  make_journeys();
}

void JourneyBuilder::list_rows(const SpilledRows& rows) {
  rows_.clear();
  size_t offset = 0;
  for (const SpilledRows::Run& run : rows.runs) {
    while (offset < run.end) {
      const RowRecordHead head = read_head(std::span(rows.bytes).subspan(offset));
      rows_.push_back({{head.part, head.row, head.line}, offset, run.file});
      offset += head.bytes;
    }
  }
  std::sort(rows_.begin(), rows_.end(), [](const RowAt& a, const RowAt& b) {
    return std::pair(a.place.part, a.place.row) < std::pair(b.place.part, b.place.row);
  });
}

// Where the group of a key is, or is to be, written.
uint32_t& JourneyBuilder::slot_of(std::string_view key, uint64_t hash) {
  const size_t mask = slots_.size() - 1;
  // The rows of a lot have their high bits in common, and with several goes their low remainders.
  for (size_t slot = mix(hash) & mask;; slot = (slot + 1) & mask) {
    uint32_t& group = slots_[slot];
    if (group == kNoGroup) return group;
    const Group& there = groups_[group];
    if (there.hash == hash && there.key == key) return group;
  }
}

int64_t JourneyBuilder::group_of(std::string_view key, uint64_t hash, const RowPlace& place) {
  const auto next = static_cast<int64_t>(groups_.size());
  int64_t group = next;
  if (mapping_.form != RowForm::journey) {
    uint32_t& slot = slot_of(key, hash);
    if (slot == kNoGroup) slot = static_cast<uint32_t>(next);
    group = slot;
  }
  if (group == next) {
    groups_.push_back({key, hash, place});
    for_each_column([&](const auto& column) {
      if (column.scope != Scope::journey) return;
      auto& values = flat_.*column.values;
      values.resize(values.size() + at(column.width(facts_.schema)));
    });
  }
  if (++groups_[at(group)].rows > kMostRows) {
    throw UserError(
        format("%s, line %lld: the journey '%s' has more than %s rows: is its column "
               "the right one to group rows by?",
               facts_.parts[at(place.part)].c_str(), static_cast<long long>(place.line),
               std::string(key.substr(0, 80)).c_str(), with_commas(kMostRows).c_str()));
  }
  return group;
}

void JourneyBuilder::take(const SpilledRows& rows, const RowAt& row) {
  const auto record = std::span(rows.bytes).subspan(row.offset);
  const RowRecordHead head = read_head(record);
  const int64_t group = group_of(key_of_record(record), head.key_hash, row.place);
  if (head.is_bad != 0) {
    groups_[at(group)].is_dropped = true;
    ++counts_.bad_rows;
    return;
  }
  unpack_row(record, facts_.schema, row_);
  try {
    if (groups_[at(group)].is_empty) {
      store_group(group);
    } else {
      check_constant(group);
    }
    store_touch(group, row.file);
  } catch (const BadRow& bad) {
    const std::string words = words_of(bad, facts_.parts[at(row.place.part)], row.place.line);
    if (facts_.on_bad_row == OnBadRow::fail) {
      throw UserError(words + " (--on-bad-row skip leaves such rows out)");
    }
    groups_[at(group)].is_dropped = true;
    ++counts_.bad_rows;
    ++counts_.dropped[reason_of(bad)];
    counts_.first_bad_row.offer(row.place.part, row.place.row, words);
  }
}

void JourneyBuilder::store_group(int64_t group) {
  Group& stored = groups_[at(group)];
  stored.is_empty = false;
  if (!mapping_.has("user")) {
    row_.user[0] =
        static_cast<uint64_t>(facts_.first_row[at(stored.first.part)] + stored.first.row);
  }
  for_each_column([&](const auto& column) {
    if (column.scope != Scope::journey) return;
    std::copy((row_.*column.values).begin(), (row_.*column.values).end(),
              (flat_.*column.values).begin() + group * column.width(facts_.schema));
  });
}

// Journey columns must say the same in all rows of a journey.
void JourneyBuilder::check_constant(int64_t group) const {
  for_each_column([&](const auto& column) {
    if (column.scope != Scope::journey) return;
    if (mapping_.form == RowForm::event && column.slot == kOutcomeSlot) return;
    const std::vector<std::string>& sources = columns_[at(column.slot)];
    using T = typename std::decay_t<decltype(row_.*column.values)>::value_type;
    for (size_t part = 0; part < sources.size(); ++part) {
      const T& here = (row_.*column.values)[part];
      const T& first = (flat_.*column.values)[at(group) * sources.size() + part];
      // Bitwise: NaN, the unknown number, equals itself.
      if (std::memcmp(&here, &first, sizeof(T)) == 0) continue;
      const RowPlace& place = groups_[at(group)].first;
      throw BadRow{
          sources[part], "",
          facts_.on_bad_row == OnBadRow::skip
              ? std::string("differs within a journey")
              : format("differs from the journey's first row (%s, line %lld)",
                       facts_.parts[at(place.part)].c_str(), static_cast<long long>(place.line))};
    }
  });
}

void JourneyBuilder::store_touch(int64_t group, int64_t file) {
  if (mapping_.form == RowForm::event && !std::isnan(row_.outcome[0])) {
    outcomes_.push_back({group, row_.time[0], row_.outcome[0]});
  }
  if (row_.cluster.empty()) return;
  row_.cluster[0] = facts_.clusters[at(file)][row_.cluster[0]];
  touch_group_.push_back(group);
  for_each_column([&](const auto& column) {
    if (column.scope != Scope::touch) return;
    (flat_.*column.values)
        .insert((flat_.*column.values).end(), (row_.*column.values).begin(),
                (row_.*column.values).end());
  });
}

// Equal times, and touches without times, keep the order of the tables.
void JourneyBuilder::order_touches() {
  order_.resize(touch_group_.size());
  std::iota(order_.begin(), order_.end(), 0);
  std::stable_sort(order_.begin(), order_.end(), [&](int64_t a, int64_t b) {
    const int64_t first = touch_group_[at(a)];
    const int64_t second = touch_group_[at(b)];
    if (first != second || !facts_.schema.touch_time) return first < second;
    return flat_.touch_time[at(a)] < flat_.touch_time[at(b)];
  });
  std::stable_sort(outcomes_.begin(), outcomes_.end(), [](const OutcomeAt& a, const OutcomeAt& b) {
    return std::pair(a.group, a.time) < std::pair(b.group, b.time);
  });
}

void JourneyBuilder::make_journeys() {
  int64_t first = 0;
  for (int64_t group = 0; group < static_cast<int64_t>(groups_.size()); ++group) {
    int64_t last = first;
    while (last < static_cast<int64_t>(order_.size()) &&
           touch_group_[at(order_[at(last)])] == group) {
      ++last;
    }
    const Group& rows = groups_[at(group)];
    if (rows.is_dropped) {
      counts_.rows_dropped += rows.rows;
      ++counts_.journeys_dropped;
    } else if (mapping_.form == RowForm::event) {
      counts_.rows_kept += rows.rows;
      make_windows(group, first, last);
    } else {
      counts_.rows_kept += rows.rows;
      journeys_.push_back({group, first, last, flat_.outcome[at(group)]});
    }
    first = last;
  }
}

// One journey for every window before which the group was touched.
void JourneyBuilder::make_windows(int64_t group, int64_t first, int64_t last) {
  const WindowRule& rule = *mapping_.window;
  const auto time_of = [&](int64_t touch) { return flat_.touch_time[at(order_[at(touch)])]; };
  int64_t begin = first, end = first;  // touches of the look-back
  while (begin < last) {
    // The next start after the first touch that is left; touches at a start belong to its window.
    int64_t start = (floor_div(time_of(begin), rule.every) + 1) * rule.every;
    for (; begin < last; start += rule.every) {
      while (end < last && time_of(end) < start) ++end;
      while (begin < end && time_of(begin) < start - rule.lookback) ++begin;
      if (begin == end) break;
      if (start + rule.outcome > facts_.log_end) {
        ++counts_.windows_open;
        continue;
      }
      Journey journey = window_at(group, start);
      journey.first = begin;
      journey.last = end;
      journeys_.push_back(journey);
    }
  }
}

// A window and its outcomes: whether there were any, or their sum; the time is that of the first.
JourneyBuilder::Journey JourneyBuilder::window_at(int64_t group, int64_t start) const {
  Journey journey;
  journey.group = group;
  journey.time = start;
  const auto before = [](const OutcomeAt& event, const std::pair<int64_t, int64_t>& when) {
    return std::pair(event.group, event.time) < when;
  };
  auto event =
      std::lower_bound(outcomes_.begin(), outcomes_.end(), std::pair(group, start), before);
  double sum = 0;
  for (; event != outcomes_.end() && event->group == group &&
         event->time < start + mapping_.window->outcome;
       ++event) {
    if (event->value != 0 && journey.outcome_time == kNoTime) journey.outcome_time = event->time;
    sum += event->value;
  }
  const bool is_binary = facts_.schema.outcome == OutcomeKind::binary;
  journey.outcome = is_binary ? (sum > 0 ? 1.0f : 0.0f) : static_cast<float>(sum);
  return journey;
}

void JourneyBuilder::append(int64_t number, Journeys& out) const {
  const Journey& journey = journeys_[at(number)];
  for_each_column([&](const auto& column) {
    const auto& values = flat_.*column.values;
    auto& target = out.*column.values;
    const int64_t width = column.width(facts_.schema);
    const auto copy = [&](int64_t index) {
      target.insert(target.end(), values.begin() + index * width,
                    values.begin() + (index + 1) * width);
    };
    if (column.scope == Scope::journey) {
      copy(journey.group);
    } else {
      for (int64_t touch = journey.first; touch < journey.last; ++touch) copy(order_[at(touch)]);
    }
  });
  out.touch_begin.push_back(out.touch_begin.back() + journey.last - journey.first);
  if (mapping_.form != RowForm::event) return;
  out.outcome.back() = journey.outcome;
  out.time.back() = journey.time;
  out.outcome_time.back() = journey.outcome_time;
  if (facts_.schema.mediator_time) undo_later_mediators(journey, out);
}

// What came after the outcome, or after the window, had no part in it.
int64_t JourneyBuilder::last_mediator_time(const Journey& journey) const {
  if (mapping_.form != RowForm::event || !facts_.schema.mediator_time) {
    return std::numeric_limits<int64_t>::max();
  }
  return journey.outcome_time != kNoTime ? journey.outcome_time
                                         : journey.time + mapping_.window->outcome - 1;
}

void JourneyBuilder::undo_later_mediators(const Journey& journey, Journeys& out) const {
  const int64_t last = last_mediator_time(journey);
  const int64_t touches = journey.last - journey.first;
  for (size_t touch = out.mediator_time.size() - at(touches); touch < out.mediator_time.size();
       ++touch) {
    if (out.mediator_time[touch] <= last) continue;
    out.mediator_time[touch] = kNoTime;
    if (facts_.schema.mediator) out.mediator[touch] = 0;
  }
}

void JourneyBuilder::count(ImportCounts& total) const {
  total.add(counts_);
  total.journeys += journeys();
  total.clusters.resize(at(facts_.clusters_named));
  for (const Journey& journey : journeys_) {
    const int64_t last = last_mediator_time(journey);
    total.outcome.add(journey.outcome);
    total.touches += journey.last - journey.first;
    for (int64_t place = journey.first; place < journey.last; ++place) {
      const size_t touch = at(order_[at(place)]);
      ImportCounts::Cluster& cluster = total.clusters[flat_.cluster[touch]];
      ++cluster.touches;
      cluster.outcome.add(journey.outcome);
      if (!facts_.schema.mediator) continue;
      const bool undone = facts_.schema.mediator_time && flat_.mediator_time[touch] > last;
      const uint8_t mediator = undone ? 0 : flat_.mediator[touch];
      if (mediator == kUnknownBinary) continue;
      ++cluster.observed;
      cluster.mediators += mediator;
    }
  }
}

}  // namespace alm::io
