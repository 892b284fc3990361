#include "io/row_checks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>

#include "io/schema.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

using std::int64_t;

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
        bad_.mark(
            row, kTouchBeginPath,
            format("%lld touches, but a journey of an arm log has exactly one", number(touches)));
      }
    }
    if (schema_.outcome == OutcomeKind::continuous) {
      values("/journey/outcome", b.outcome, 1, not_finite, "is not a finite number");
    } else {
      values(
          "/journey/outcome", b.outcome, 1, [](float v) { return v != 0 && v != 1; },
          "is not 0 or 1 (write a continuous outcome as floats)");
    }
    values(
        "/journey/weight", b.weight, 1, [](float v) { return !(v >= 0) || std::isinf(v); },
        "is not a finite weight of at least 0");
    values("/journey/dense", b.dense, schema_.dense, infinite, "is infinite (missing is NaN)");
    values("/truth/p_do", b.p_do, 1, infinite, "is infinite");
    values("/truth/p_none", b.p_none, 1, infinite, "is infinite");

    const auto clusters = static_cast<uint64_t>(schema_.clusters);
    touches(
        "/touch/cluster", b.cluster, 1, [=](uint32_t v) { return v >= clusters; },
        format("is not a cluster: they are numbered 0 to %lld", number(schema_.clusters - 1)));
    touches("/touch/dense", b.touch_dense, schema_.touch_dense, infinite,
            "is infinite (missing is NaN)");
    const auto not_binary = [](uint8_t v) { return v > 1; };
    const auto not_observation = [](uint8_t v) { return v > 1 && v != 255; };
    touches("/touch/mediator", b.mediator, 1, not_observation, "is not 0, 1 or 255 (not observed)");
    touches("/touch/proxy", b.proxy, schema_.proxies, not_observation,
            "is not 0, 1 or 255 (unknown)");
    touches("/touch/randomised", b.randomised, 1, not_binary, "is not 0 or 1");
    touches("/touch/match", b.match, 1, infinite, "is infinite (undefined is NaN)");
    touches(
        "/touch/propensity", b.propensity, 1, [](float v) { return v < 0 || v > 1; },
        "is not a probability");
    touches("/truth/delta_do", b.delta_do, 1, infinite, "is infinite");
    touches("/truth/delta_ett", b.delta_ett, 1, infinite, "is infinite");
    times();
  }

 private:
  static bool infinite(float value) {
    return (std::bit_cast<uint32_t>(value) & 0x7fffffffu) == 0x7f800000u;
  }
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
              const std::string& what) {
    if (!any(column, wrong)) return;
    for (int64_t index = 0; index < static_cast<int64_t>(column.size()); ++index) {
      if (wrong(column[at(index)])) bad_.mark(index / width, set, words(column[at(index)], what));
    }
  }

  template <class T, class Wrong>
  void touches(const char* set, const std::vector<T>& column, int64_t width, Wrong wrong,
               const std::string& what) {
    if (!any(column, wrong)) return;
    for (int64_t row = 0; row < rows(); ++row) {
      for (int64_t index = spans_.begin[at(row)] * width; index < spans_.end[at(row)] * width;
           ++index) {
        if (!wrong(column[at(index)])) continue;
        bad_.mark(row, set, words(column[at(index)], what), spans_.first_touch + index / width);
      }
    }
  }

  // Whether every journey's touches are in order and lie before its window.
  bool touches_in_order() const {
    const int64_t* time = block_.touch_time.data();
    const int64_t* window = block_.time.empty() ? nullptr : block_.time.data();
    const int64_t* begins = spans_.begin.data();
    const int64_t* ends = spans_.end.data();
    bool good = true;
    for (int64_t row = 0; row < rows(); ++row) {
      const int64_t begin = begins[row];
      const int64_t end = ends[row];
      for (int64_t touch = begin + 1; touch < end; ++touch) good &= time[touch - 1] <= time[touch];
      if (window != nullptr && begin < end) good &= time[end - 1] < window[row];
    }
    return good;
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
          bad_.mark(row, "/touch/time",
                    format("%lld lies before the touch ahead of it (%lld)", number(time),
                           number(b.touch_time[at(touch - 1)])),
                    spans_.first_touch + touch);
        }
        if (!b.time.empty() && time >= b.time[at(row)]) {
          bad_.mark(row, "/touch/time",
                    format("%lld does not lie before the outcome window, which starts at %lld",
                           number(time), number(b.time[at(row)])),
                    spans_.first_touch + touch);
        }
      }
    }
    for (int64_t row = 0; row < rows() && !b.mediator_time.empty(); ++row) {
      const int64_t upload = b.outcome_time.empty() ? -1 : b.outcome_time[at(row)];
      for (int64_t touch = spans_.begin[at(row)]; touch < spans_.end[at(row)]; ++touch) {
        const int64_t time = b.mediator_time[at(touch)];
        if (time == -1) continue;
        if (!b.touch_time.empty() && time < b.touch_time[at(touch)]) {
          bad_.mark(row, "/touch/mediator_time",
                    format("%lld lies before its touch (%lld)", number(time),
                           number(b.touch_time[at(touch)])),
                    spans_.first_touch + touch);
        }
        if (upload != -1 && time > upload) {
          bad_.mark(row, "/touch/mediator_time",
                    format("%lld lies after the upload (%lld)", number(time), number(upload)),
                    spans_.first_touch + touch);
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
  bad_.assign(at(rows), 0);
}

void BadRows::mark(int64_t row, const char* set, const std::string& what, int64_t touch) {
  if (count_ == 0 || row < worst_) {
    worst_ = row;
    words_ = format("%s, data set %s, row %lld", path_.c_str(), set, number(first_row_ + row));
    if (touch >= 0) words_ += format(" (touch %lld)", number(touch));
    words_ += ": " + what;
  }
  count_ += bad_[at(row)] == 0 ? 1 : 0;
  bad_[at(row)] = 1;
}

void read_offsets(const std::vector<int64_t>& offsets, int64_t before, int64_t rows,
                  int64_t touches, Spans& spans, BadRows& bad) {
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
      bad.mark(row, kTouchBeginPath,
               format("offsets go back: %lld is followed by %lld", number(std::max(cursor, begin)),
                      number(begin < cursor ? begin : end)));
    } else if (end > touches) {
      bad.mark(row, kTouchBeginPath,
               format("offset %lld lies past the %lld touches", number(end), number(touches)));
    } else if (next_falls) {
      bad.mark(row, kTouchBeginPath,
               format("offsets go back: %lld is followed by %lld", number(end),
                      number(offsets[at(row + before + 2)])));
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
