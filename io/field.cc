#include "io/field.h"

#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>

#include "kernels/base/hash.h"

namespace alm::io {

namespace {

template <class T>
std::optional<T> whole(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end) return std::nullopt;
  return value;
}

// A whole number written in the one way that we would write it: "0", or without leading zeros.
template <class T>
std::optional<T> canonical(std::string_view text) {
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.empty() || (digits[0] == '0' && text != "0")) return std::nullopt;
  return whole<T>(text);
}

uint64_t text_hash(std::string_view text) {
  uint64_t value = 0xcbf29ce484222325u;
  for (const char letter : text) {
    value = (value ^ static_cast<unsigned char>(letter)) * 0x100000001b3u;
  }
  return mix(value);
}

// Reads `digits` digits off the front.
std::optional<int> take_digits(std::string_view& text, size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (const char letter : text.substr(0, digits)) {
    if (letter < '0' || letter > '9') return std::nullopt;
    value = value * 10 + (letter - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text[0]) == any_of.npos) return false;
  text.remove_prefix(1);
  return true;
}

// The digits after a decimal point, cut to thousandths.
std::optional<int64_t> take_thousandths(std::string_view& text) {
  int64_t unit = 100, sum = 0;
  bool any = false;
  for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1), unit /= 10) {
    sum += unit * (text[0] - '0');
    any = true;
  }
  return any ? std::optional(sum) : std::nullopt;
}

// "Z", "+02:00", "-0530" or nothing: how far local time is ahead, in milliseconds.
std::optional<int64_t> take_offset(std::string_view& text) {
  if (text.empty() || take(text, "Z")) return 0;
  const bool is_behind = text[0] == '-';
  if (!take(text, "+-")) return std::nullopt;
  const std::optional<int> hours = take_digits(text, 2);
  take(text, ":");
  const std::optional<int> minutes = take_digits(text, 2);
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  const int64_t offset = (int64_t{*hours} * 60 + *minutes) * 60'000;
  return is_behind ? -offset : offset;
}

std::optional<int64_t> parse_calendar(std::string_view text) {
  namespace time = std::chrono;
  const std::optional<int> year = take_digits(text, 4);
  if (!year || !take(text, "-")) return std::nullopt;
  const std::optional<int> month = take_digits(text, 2);
  if (!month || !take(text, "-")) return std::nullopt;
  const std::optional<int> day = take_digits(text, 2);
  if (!day) return std::nullopt;
  const time::year_month_day date{time::year(*year), time::month(static_cast<unsigned>(*month)),
                                  time::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  int64_t milliseconds = int64_t{time::sys_days(date).time_since_epoch().count()} * 86'400'000;
  if (text.empty()) return milliseconds;

  if (!take(text, " T")) return std::nullopt;
  const std::optional<int> hour = take_digits(text, 2);
  if (!hour || !take(text, ":")) return std::nullopt;
  const std::optional<int> minute = take_digits(text, 2);
  if (!minute) return std::nullopt;
  const std::optional<int> second = take(text, ":") ? take_digits(text, 2) : 0;
  if (!second || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  milliseconds += (int64_t{*hour} * 3600 + *minute * 60 + *second) * 1000;
  if (take(text, ".")) {
    const std::optional<int64_t> fraction = take_thousandths(text);
    if (!fraction) return std::nullopt;
    milliseconds += *fraction;
  }
  const std::optional<int64_t> offset = take_offset(text);
  if (!offset || !text.empty()) return std::nullopt;
  return milliseconds - *offset;
}

// "1714521600.25".
std::optional<int64_t> parse_decimal_seconds(std::string_view text) {
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max() / 1000 - 1;
  const size_t point = text.find('.');
  if (point == text.npos) return std::nullopt;
  const std::optional<int64_t> seconds = whole<int64_t>(text.substr(0, point));
  text.remove_prefix(point + 1);
  const std::optional<int64_t> fraction = take_thousandths(text);
  if (!seconds || !fraction || !text.empty()) return std::nullopt;
  // Only from 1970 on: a sign would have to be read from "-0" too.
  if (*seconds < 0 || *seconds > kLargest) return std::nullopt;
  return *seconds * 1000 + *fraction;
}

}  // namespace

std::optional<float> parse_number(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  const std::optional<double> value = whole<double>(text);
  if (!value || !std::isfinite(static_cast<float>(*value))) return std::nullopt;
  return static_cast<float>(*value);
}

std::optional<int64_t> parse_whole(std::string_view text) {
  return whole<int64_t>(text);
}

std::optional<uint8_t> parse_binary(std::string_view text) {
  std::string lower(text);
  for (char& letter : lower) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  if (lower == "1" || lower == "yes" || lower == "true") return uint8_t{1};
  if (lower == "0" || lower == "no" || lower == "false") return uint8_t{0};
  return std::nullopt;
}

std::optional<int64_t> parse_time(std::string_view text, TimeUnit unit) {
  const std::optional<int64_t> count = whole<int64_t>(text);
  if (!count) {
    const std::optional<int64_t> date = parse_calendar(text);
    return date || unit != TimeUnit::seconds ? date : parse_decimal_seconds(text);
  }
  switch (unit) {
    case TimeUnit::milliseconds:
      return count;
    case TimeUnit::microseconds:
      return *count / 1000 - (*count % 1000 < 0 ? 1 : 0);
    case TimeUnit::seconds:
      break;
  }
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max() / 1000;
  if (*count > kLargest || *count < -kLargest) return std::nullopt;
  return *count * 1000;
}

std::optional<int64_t> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  int64_t unit = 0;
  switch (text.back()) {
    case 'd':
      unit = 86'400'000;
      break;
    case 'h':
      unit = 3'600'000;
      break;
    case 'm':
      unit = 60'000;
      break;
    case 's':
      unit = 1000;
      break;
    default:
      return std::nullopt;
  }
  constexpr int64_t kLongest = int64_t{100'000} * 86'400'000;
  const std::optional<int64_t> count = whole<int64_t>(text.substr(0, text.size() - 1));
  if (!count || *count < 1 || *count > kLongest / unit) return std::nullopt;
  return *count * unit;
}

uint64_t label_id(std::string_view text) {
  return canonical<uint64_t>(text).value_or(text_hash(text));
}

bool is_number_label(std::string_view text) {
  return canonical<uint64_t>(text).has_value();
}

int64_t signed_label_id(std::string_view text) {
  return canonical<int64_t>(text).value_or(static_cast<int64_t>(text_hash(text) >> 1));
}

}  // namespace alm::io
