#include "io/row_checks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "io/schema.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

using std::int64_t;

constexpr float kLargestTruth = 1e9f;

size_t at(int64_t index) {
  return static_cast<size_t>(index);
}
long long number(int64_t value) {
  return static_cast<long long>(value);
}

class Checker {
 public:
  Checker(const LogSchema& schema, const Journeys& block, const Spans& spans, BadRows& bad)
      : schema_(schema), block_(block), spans_(spans), bad_(bad) {}

  void run() {
    const Journeys& b = block_;
    if (schema_.is_arm_log()) {
      for (int64_t row = 0; row < rows(); ++row) {
        const int64_t touches = spans_.end[at(row)] - spans_.begin[at(row)];
        if (touches == 1 || bad_.is_bad(row)) continue;
        bad_.mark(row, kTouchBeginPath, "not exactly one touch (arm log)", -1, [&] {
          return format("%lld touches, but a journey of an arm log has exactly one",
                        number(touches));
        });
      }
    }
    if (schema_.outcome == OutcomeKind::continuous) {
      values("/journey/outcome", b.outcome, 1, not_finite, "not finite", "is not a finite number");
    } else {
      values(
          "/journey/outcome", b.outcome, 1, [](float v) { return v != 0 && v != 1; }, "not 0 or 1",
          "is not 0 or 1 (write a continuous outcome as floats)");
    }
    values(
        "/journey/weight", b.weight, 1, [](float v) { return !(v >= 0 && v <= kLargestWeight); },
        "not a weight",
        "is not a weight: those lie between 0 and 1e6 (too large: divide all by one number, only "
        "ratios count)");
    values("/journey/dense", b.dense, schema_.dense, infinite, "infinite",
           "is infinite (missing is NaN)");
    values("/truth/p_do", b.p_do, 1, no_truth, "too large", "is no true value");
    values("/truth/p_none", b.p_none, 1, no_truth, "too large", "is no true value");

    const auto clusters = static_cast<uint64_t>(schema_.clusters);
    touches(
        "/touch/cluster", b.cluster, 1, [=](uint32_t v) { return v >= clusters; }, "not a cluster",
        format("is not a cluster: they are numbered 0 to %lld", number(schema_.clusters - 1)));
    touches("/touch/dense", b.touch_dense, schema_.touch_dense, infinite, "infinite",
            "is infinite (missing is NaN)");
    const auto not_binary = [](uint8_t v) { return v > 1; };
    const auto not_observation = [](uint8_t v) { return v > 1 && v != 255; };
    touches("/touch/mediator", b.mediator, 1, not_observation, "not 0, 1 or 255",
            "is not 0, 1 or 255 (not observed)");
    touches("/touch/proxy", b.proxy, schema_.proxies, not_observation, "not 0, 1 or 255",
            "is not 0, 1 or 255 (unknown)");
    touches("/touch/randomised", b.randomised, 1, not_binary, "not 0 or 1", "is not 0 or 1");
    touches("/touch/match", b.match, 1, infinite, "infinite", "is infinite (undefined is NaN)");
    touches(
        "/touch/propensity", b.propensity, 1, [](float v) { return v < 0 || v > 1; },
        "not a probability", "is not a probability");
    touches("/truth/delta_do", b.delta_do, 1, no_truth, "too large", "is no true value");
    touches("/truth/delta_ett", b.delta_ett, 1, no_truth, "too large", "is no true value");
    touches("/truth/delta_removal", b.delta_removal, 1, no_truth, "too large", "is no true value");
    times();
  }

 private:
  static bool infinite(float value) {
    return (std::bit_cast<uint32_t>(value) & 0x7fffffffu) == 0x7f800000u;
  }
  static bool no_truth(float value) { return std::fabs(value) > kLargestTruth; }  // NaN: unknown
  static bool not_finite(float value) { return !std::isfinite(value); }

  int64_t rows() const { return block_.size(); }

  template <class T>
  static std::string words(T value, const std::string& what) {
    return format("%.9g %s", static_cast<double>(value), what.c_str());
  }

  template <class T, class Wrong>
  static bool any(const std::vector<T>& column, Wrong wrong) {
    // A sum as wide as the values: the loop vectorises.
    using Sum = std::conditional_t<sizeof(T) == 1, uint8_t, uint32_t>;
    Sum found = 0;
    for (const T value : column) found = static_cast<Sum>(found | (wrong(value) ? 1u : 0u));
    return found != 0;
  }

  template <class T, class Wrong>
  void values(const char* set, const std::vector<T>& column, int64_t width, Wrong wrong,
              const char* kind, const std::string& what) {
    if (!any(column, wrong)) return;
    for (int64_t index = 0; index < static_cast<int64_t>(column.size()); ++index) {
      if (!wrong(column[at(index)])) continue;
      bad_.mark(index / width, set, kind, -1, [&] { return words(column[at(index)], what); });
    }
  }

  template <class T, class Wrong>
  void touches(const char* set, const std::vector<T>& column, int64_t width, Wrong wrong,
               const char* kind, const std::string& what) {
    if (!any(column, wrong)) return;
    for (int64_t row = 0; row < rows(); ++row) {
      for (int64_t index = spans_.begin[at(row)] * width; index < spans_.end[at(row)] * width;
           ++index) {
        if (!wrong(column[at(index)])) continue;
        bad_.mark(row, set, kind, spans_.first_touch + index / width,
                  [&] { return words(column[at(index)], what); });
      }
    }
  }

  // Whether every journey's touches are in order and lie before its window. The column may go back
  // only where a journey begins, so falls are counted over all of it and at the beginnings; false
  // also where touches of no journey fall.
  bool touches_in_order() const {
    const int64_t* time = block_.touch_time.data();
    const int64_t* window = block_.time.empty() ? nullptr : block_.time.data();
    const int64_t* begins = spans_.begin.data();
    const int64_t* ends = spans_.end.data();
    int64_t falls = 0;
    for (int64_t touch = 1; touch < spans_.touches; ++touch) falls += time[touch - 1] > time[touch];
    bool before_window = true;
    for (int64_t row = 0; row < rows(); ++row) {
      const int64_t begin = begins[row];
      const int64_t end = ends[row];
      if (begin == end) continue;
      falls -= begin > 0 && time[begin - 1] > time[begin];
      if (window != nullptr) before_window &= time[end - 1] < window[row];
    }
    return falls == 0 && before_window;
  }

  // Order in time within each journey.
  void times() {
    const Journeys& b = block_;
    const bool look_closer = !b.touch_time.empty() && !touches_in_order();
    for (int64_t row = 0; row < rows() && look_closer; ++row) {
      const int64_t begin = spans_.begin[at(row)];
      const int64_t end = spans_.end[at(row)];
      for (int64_t touch = begin; touch < end; ++touch) {
        const int64_t time = b.touch_time[at(touch)];
        if (touch > begin && time < b.touch_time[at(touch - 1)]) {
          bad_.mark(row, "/touch/time", "goes back", spans_.first_touch + touch, [&] {
            return format("%lld lies before the touch ahead of it (%lld)", number(time),
                          number(b.touch_time[at(touch - 1)]));
          });
        }
        if (!b.time.empty() && time >= b.time[at(row)]) {
          bad_.mark(
              row, "/touch/time", "not before the outcome window", spans_.first_touch + touch, [&] {
                return format("%lld does not lie before the outcome window, which starts at %lld",
                              number(time), number(b.time[at(row)]));
              });
        }
      }
    }
    for (int64_t row = 0; row < rows() && !b.mediator_time.empty(); ++row) {
      const int64_t upload = b.outcome_time.empty() ? -1 : b.outcome_time[at(row)];
      for (int64_t touch = spans_.begin[at(row)]; touch < spans_.end[at(row)]; ++touch) {
        const int64_t time = b.mediator_time[at(touch)];
        if (time == -1) continue;
        if (!b.touch_time.empty() && time < b.touch_time[at(touch)]) {
          bad_.mark(row, "/touch/mediator_time", "before its touch", spans_.first_touch + touch,
                    [&] {
                      return format("%lld lies before its touch (%lld)", number(time),
                                    number(b.touch_time[at(touch)]));
                    });
        }
        if (upload != -1 && time > upload) {
          bad_.mark(
              row, "/touch/mediator_time", "after the upload", spans_.first_touch + touch, [&] {
                return format("%lld lies after the upload (%lld)", number(time), number(upload));
              });
        }
      }
    }
  }

  const LogSchema& schema_;
  const Journeys& block_;
  const Spans& spans_;
  BadRows& bad_;
};

}  // namespace

void BadRows::start(const std::string& path, int64_t first_row, int64_t rows) {
  path_ = path;
  first_row_ = first_row;
  count_ = 0;
  words_.clear();
  kinds_.clear();
  bad_.assign(at(rows), 0);
}

bool BadRows::note(int64_t row, const char* set, const char* what) {
  is_first_ = count_ == 0 || row < worst_;
  if (is_first_) worst_ = row;
  count_ += bad_[at(row)] == 0 ? 1 : 0;
  bad_[at(row)] = 1;
  kind_ = 0;
  while (kind_ < kinds_.size() &&
         (std::strcmp(kinds_[kind_].set, set) != 0 || std::strcmp(kinds_[kind_].what, what) != 0)) {
    ++kind_;
  }
  if (kind_ == kinds_.size()) kinds_.push_back({set, what});
  Kind& kind = kinds_[kind_];
  const bool is_new = kind.last_row != row;
  kind.rows += is_new ? 1 : 0;
  kind.last_row = row;
  is_example_ = is_new && kind.examples.size() < BadKind::kMostExamples;
  return is_first_ || is_example_;
}

void BadRows::describe(int64_t row, const char* set, int64_t touch, const std::string& words) {
  std::string text =
      format("%s, data set %s, row %lld", path_.c_str(), set, number(first_row_ + row));
  if (touch >= 0) text += format(" (touch %lld)", number(touch));
  text += ": " + words;
  if (is_example_) kinds_[kind_].examples.push_back(text);
  if (is_first_) words_ = std::move(text);
}

std::vector<BadKind> BadRows::kinds() const {
  std::vector<BadKind> list;
  for (const Kind& kind : kinds_) {
    list.push_back({std::string(kind.set) + ": " + kind.what, kind.rows, kind.examples});
  }
  return list;
}

void read_offsets(const std::vector<int64_t>& offsets, int64_t before, int64_t rows,
                  int64_t touches, Spans& spans, BadRows& bad) {
  constexpr const char* kBack = "offsets go back";
  const int64_t count = static_cast<int64_t>(offsets.size());
  spans.begin.assign(at(rows), 0);
  spans.end.assign(at(rows), 0);
  int64_t cursor = before > 0 ? std::max<int64_t>(offsets[0], 0) : 0;
  if (cursor > touches) cursor = 0;
  int64_t lowest = touches;
  int64_t highest = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t begin = offsets[at(row + before)];
    const int64_t end = offsets[at(row + before + 1)];
    // An end that the next row falls back from is as doubtful as the fall itself.
    const bool next_falls = row + before + 2 < count && offsets[at(row + before + 2)] < end;
    if (begin < cursor || end < begin) {
      bad.mark(row, kTouchBeginPath, kBack, -1, [&] {
        return format("offsets go back: %lld is followed by %lld", number(std::max(cursor, begin)),
                      number(begin < cursor ? begin : end));
      });
    } else if (end > touches) {
      bad.mark(row, kTouchBeginPath, "past the last touch", -1, [&] {
        return format("offset %lld lies past the %lld touches", number(end), number(touches));
      });
    } else if (next_falls) {
      bad.mark(row, kTouchBeginPath, kBack, -1, [&] {
        return format("offsets go back: %lld is followed by %lld", number(end),
                      number(offsets[at(row + before + 2)]));
      });
    } else {
      spans.begin[at(row)] = begin;
      spans.end[at(row)] = end;
      cursor = end;
      lowest = std::min(lowest, begin);
      highest = std::max(highest, end);
    }
  }
  spans.first_touch = std::min(lowest, highest);
  spans.touches = highest - spans.first_touch;
  for (int64_t row = 0; row < rows; ++row) {
    const bool empty = bad.is_bad(row);
    spans.begin[at(row)] = empty ? 0 : spans.begin[at(row)] - spans.first_touch;
    spans.end[at(row)] = empty ? 0 : spans.end[at(row)] - spans.first_touch;
  }
}

void check_rows(const LogSchema& schema, const Journeys& block, const Spans& spans, BadRows& bad) {
  Checker(schema, block, spans, bad).run();
}

}  // namespace alm::io
