// Safe text for HTML and SVG, and numbers as a reader expects them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace alm::report {

// Safe between tags and inside quoted attributes. Invalid UTF-8, control characters and marks that
// turn the direction of text become U+FFFD, so that no name can hide or reorder what stands beside
// it.
std::string escape(std::string_view text);

// The same for sentences between tags: an option such as --folds stays on one line.
std::string prose(std::string_view text);

// At most `most` characters (code points), the last one an ellipsis when the text was cut. Not
// escaped.
std::string shorten(std::string_view text, int64_t most);

// Estimated width in pixels of `text` in a sans-serif face of `size` pixels; errs on the wide side.
double text_width(std::string_view text, double size);
// The longest beginning of `text` (with an ellipsis if cut) that fits `width`. Not escaped.
std::string fit_text(std::string_view text, double width, double size);

// "1,234.5" with a true minus sign.
std::string fixed(double value, int decimals);
// "−0.1 to 1.2". A bound below zero that rounds to it is "−0.0": whether zero lies inside shows.
std::string bounds_fixed(double low, double high, int decimals);
// "+1.2" or "−1.2"; zero has no sign.
std::string signed_fixed(double value, int decimals);
// Decimals at which values of size up to `largest` show three significant digits, and one below
// 100,000 (0 to 6).
int decimals_for(double largest);
// Three significant digits, for a number that stands alone.
std::string plain(double value);
// 0.123 -> "12.3 %".
std::string percent(double share, int decimals = 1);
std::string count(double value);
// 1 -> "1st", 22 -> "22nd", 113 -> "113th".
std::string ordinal(int64_t place);
// "not given", with the reason when there is one; safe HTML.
std::string not_given(const std::string& reason);

// "3 clusters", "1 cluster".
std::string counted(double value, const std::string& singular, const std::string& plural);

}  // namespace alm::report
