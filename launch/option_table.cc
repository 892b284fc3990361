// Options that all subcommands have, and values of options.
#include "launch/option_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

// 1,000,000 and 1e15 and 1e-6.
std::string as_typed(double value) {
  if (std::floor(value) == value && std::fabs(value) < 1e12) {
    return (value < 0 ? "-" : "") + with_commas(static_cast<int64_t>(std::fabs(value)));
  }
  std::string text = format("%g", value);
  const size_t exponent = text.find('e');
  if (exponent == text.npos) return text;
  const std::string sign = text[exponent + 1] == '-' ? "-" : "";
  text.replace(exponent + 1, text.find_first_not_of("+-0", exponent + 1) - exponent - 1, sign);
  return text;
}

// What check_value() wants of a number: "a whole number, 0 to 1e15".
std::string wanted_number(const OptionSpec& option) {
  const std::string bounds = bounds_text(option);
  return (option.type == OptionType::integer ? "a whole number" : "a number") +
         (bounds.empty() ? "" : ", " + bounds);
}

}  // namespace

std::vector<OptionSpec> common_options() {
  return {
      {.name = "help",
       .type = OptionType::flag,
       .default_text = "false",
       .help = "Print this and end."},
      {.name = "config", .help = "INI file of options, one `name = value` a line."},
      {.name = "quiet",
       .type = OptionType::flag,
       .default_text = "false",
       .help = "Say nothing but results, warnings and errors."},
      {.name = "threads",
       .type = OptionType::integer,
       .default_text = "0",
       .help = "Threads per rank; 0: the cores this rank may use, shared with the ranks beside it.",
       .lowest = 0,
       .highest = 4096},
  };
}

std::vector<OptionSpec> whole_table(const CommandSpec& command) {
  std::vector<OptionSpec> table = command.options;
  for (OptionSpec& option : common_options()) table.push_back(std::move(option));
  return table;
}

std::string bounds_text(const OptionSpec& option) {
  const bool low = option.lowest > -1e300, high = option.highest < 1e300;
  if (low && high) return as_typed(option.lowest) + " to " + as_typed(option.highest);
  if (low) return "at least " + as_typed(option.lowest);
  return high ? "at most " + as_typed(option.highest) : "";
}

std::optional<double> parse_real(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (text.empty() || result.ec != std::errc() || result.ptr != end || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

std::optional<int64_t> parse_integer(const std::string& text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (!text.empty() && result.ec == std::errc() && result.ptr == end) return value;
  const auto real = parse_real(text);
  if (!real || std::floor(*real) != *real || std::fabs(*real) > 0x1p53) return std::nullopt;
  return static_cast<int64_t>(*real);
}

std::optional<bool> parse_flag(const std::string& text) {
  for (const char* word : {"true", "1", "yes", "on"}) {
    if (text == word) return true;
  }
  for (const char* word : {"false", "0", "no", "off"}) {
    if (text == word) return false;
  }
  return std::nullopt;
}

void check_value(const OptionSpec& option, const std::string& text, const std::string& source) {
  const auto refuse = [&](const std::string& wanted) {
    throw UserError(format("--%s %s (%s): wanted %s", option.name.c_str(), text.c_str(),
                           source.c_str(), wanted.c_str()));
  };
  const auto check_bounds = [&](double value) {
    if (value < option.lowest || value > option.highest) refuse(wanted_number(option));
  };
  switch (option.type) {
    case OptionType::text:
      if (!option.choices.empty() &&
          std::find(option.choices.begin(), option.choices.end(), text) == option.choices.end()) {
        refuse(join(option.choices, " or ") +
               (option.why_these.empty() ? "" : ": " + option.why_these));
      }
      return;
    case OptionType::integer: {
      const auto value = parse_integer(text);
      if (!value) refuse(wanted_number(option));
      check_bounds(static_cast<double>(*value));
      return;
    }
    case OptionType::real: {
      const auto value = parse_real(text);
      if (!value) refuse(wanted_number(option));
      check_bounds(*value);
      return;
    }
    case OptionType::flag:
      if (!parse_flag(text)) refuse("true or false");
      return;
  }
}

std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> parts;
  for (std::string& part : split(text, ' ')) {
    if (!part.empty()) parts.push_back(std::move(part));
  }
  return parts;
}

}  // namespace alm
