#include "engine/report/html.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>

#include "kernels/base/text.h"

namespace alm::report {
namespace {

constexpr const char* kReplacement = "\xEF\xBF\xBD";
constexpr const char* kEllipsis = "\xE2\x80\xA6";
constexpr const char* kMinus = "\xE2\x88\x92";
constexpr uint32_t kInvalid = 0xFFFFFFFF;

// The code point at `at`, and its length in bytes; kInvalid (length 1) where the bytes are not
// UTF-8.
uint32_t decode(std::string_view text, size_t at, size_t* length) {
  const auto byte = [&](size_t index) { return static_cast<uint8_t>(text[index]); };
  const uint8_t lead = byte(at);
  *length = 1;
  if (lead < 0x80) return lead;
  const size_t more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  if (lead < 0xC2 || lead > 0xF4 || at + more >= text.size()) return kInvalid;
  uint32_t code = lead & (0x3F >> more);
  for (size_t index = 1; index <= more; ++index) {
    if ((byte(at + index) & 0xC0) != 0x80) return kInvalid;
    code = code << 6 | (byte(at + index) & 0x3F);
  }
  constexpr uint32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[more] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
    return kInvalid;
  }
  *length = more + 1;
  return code;
}

bool shows_nothing_good(uint32_t code) {
  return code == kInvalid || code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x200B ||
         code == 0x200E || code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2060 && code <= 0x2069) || code == 0xFEFF || (code & 0xFFFE) == 0xFFFE;
}

// Width in units of the font size. Combining marks count as wide as letters: never too narrow.
double glyph_width(uint32_t code) {
  if (code >= 0x1100) return code == 0x2026 || (code >= 0x2010 && code < 0x2030) ? 1.0 : 1.05;
  if (code >= '0' && code <= '9') return 0.58;
  if (code < 0x80 && std::string_view(" .,:;'|!ijltIf()[]{}").find(static_cast<char>(code)) !=
                         std::string_view::npos) {
    return 0.34;
  }
  if (code == 'm' || code == 'w' || code == 'M' || code == 'W' || code == '@' || code == '%') {
    return 0.92;
  }
  if (code >= 'A' && code <= 'Z') return 0.72;
  return code < 0x80 ? 0.58 : 0.72;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string safe;
  safe.reserve(text.size() + text.size() / 8);
  for (size_t at = 0, length = 0; at < text.size(); at += length) {
    const uint32_t code = decode(text, at, &length);
    if (code == '\t' || code == '\n' || code == '\r') {
      safe += ' ';
    } else if (shows_nothing_good(code)) {
      safe += kReplacement;
    } else if (code == '&') {
      safe += "&amp;";
    } else if (code == '<') {
      safe += "&lt;";
    } else if (code == '>') {
      safe += "&gt;";
    } else if (code == '"') {
      safe += "&#34;";
    } else if (code == '\'') {
      safe += "&#39;";
    } else {
      safe += text.substr(at, length);
    }
  }
  return safe;
}

std::string prose(std::string_view text) {
  const std::string safe = escape(text);
  std::string html;
  size_t from = 0;
  for (size_t at = safe.find("--"); at != safe.npos; at = safe.find("--", from)) {
    size_t end = at + 2;
    while (end < safe.size() && (std::islower(static_cast<unsigned char>(safe[end])) != 0 ||
                                 (safe[end] == '-' && end > at + 2))) {
      ++end;
    }
    const std::string option = safe.substr(at, end - at);
    html += safe.substr(from, at - from) +
            (option.size() > 2 ? "<span class=\"option\">" + option + "</span>" : option);
    from = end;
  }
  return html + safe.substr(from);
}

std::string shorten(std::string_view text, int64_t most) {
  int64_t seen = 0;
  size_t keep = 0;  // bytes of the first most - 1 characters
  for (size_t at = 0, length = 0; at < text.size(); at += length) {
    decode(text, at, &length);
    if (seen == most - 1) keep = at;
    if (++seen > most) return std::string(text.substr(0, keep)) + kEllipsis;
  }
  return std::string(text);
}

double text_width(std::string_view text, double size) {
  double width = 0;
  for (size_t at = 0, length = 0; at < text.size(); at += length) {
    width += glyph_width(decode(text, at, &length));
  }
  return width * size;
}

std::string fit_text(std::string_view text, double width, double size) {
  if (text_width(text, size) <= width) return std::string(text);
  double used = text_width(kEllipsis, size);
  size_t at = 0;
  for (size_t length = 0; at < text.size(); at += length) {
    used += glyph_width(decode(text, at, &length)) * size;
    if (used > width) break;
  }
  while (at > 0 && text[at - 1] == ' ') --at;
  return std::string(text.substr(0, at)) + kEllipsis;
}

std::string fixed(double value, int decimals) {
  std::string digits = format("%.*f", decimals, std::fabs(value));
  const bool zero = digits.find_first_of("123456789") == digits.npos;
  size_t point = digits.find('.');
  if (point == digits.npos) point = digits.size();
  for (size_t at = point; at > 3; at -= 3) digits.insert(at - 3, ",");
  return (value < 0 && !zero ? kMinus : "") + digits;
}

std::string bounds_fixed(double low, double high, int decimals) {
  const auto bound = [&](double value) {
    const std::string digits = fixed(value, decimals);
    return (value < 0 && !digits.starts_with(kMinus) ? kMinus : "") + digits;
  };
  return bound(low) + " to " + bound(high);
}

std::string signed_fixed(double value, int decimals) {
  const std::string digits = fixed(value, decimals);
  const bool zero = digits.find_first_of("123456789") == digits.npos;
  return (value > 0 && !zero ? "+" : "") + digits;
}

int decimals_for(double largest) {
  if (!(largest > 0)) return 2;
  return std::clamp(2 - static_cast<int>(std::floor(std::log10(largest))), largest < 1e5 ? 1 : 0,
                    6);
}

std::string plain(double value) {
  if (value != 0 && (std::fabs(value) < 1e-6 || std::fabs(value) >= 1e12)) {
    return format("%.2e", value);
  }
  return fixed(value, decimals_for(std::fabs(value)));
}

std::string percent(double share, int decimals) {
  return fixed(100 * share, decimals) + "\u00A0%";
}

std::string count(double value) {
  return fixed(value, 0);
}

std::string ordinal(int64_t place) {
  const int64_t last = place % 10;
  const bool teen = place % 100 / 10 == 1;
  const char* ending = teen || last == 0 || last > 3 ? "th"
                       : last == 1                   ? "st"
                       : last == 2                   ? "nd"
                                                     : "rd";
  return count(static_cast<double>(place)) + ending;
}

std::string not_given(const std::string& reason) {
  return "<span class=\"none\">not given" + (reason.empty() ? "" : ": " + prose(reason)) +
         "</span>";
}

std::string counted(double value, const std::string& singular, const std::string& plural) {
  return count(value) + " " + (value == 1 ? singular : plural);
}

}  // namespace alm::report
