// The forest plot, and the bar of parts of a whole.
#include <algorithm>
#include <cmath>
#include <tuple>

#include "engine/report/html.h"
#include "engine/report/svg_parts.h"

namespace alm::report {

std::string forest_plot(const std::vector<ForestRow>& rows, const std::string& axis_title,
                        const std::string& description) {
  constexpr double kWidth = 880;
  constexpr double kRow = 24;
  constexpr double kTop = 30;
  Range values;
  Range bounds;
  values.add(0.0);
  double largest = 0;
  double label_width = 60;
  for (const ForestRow& row : rows) {
    values.add(row.value), values.add(row.naive), values.add(row.backdoor);
    if (row.value) largest = std::max(largest, std::fabs(*row.value));
    if (row.bounds) bounds.add(row.bounds->first), bounds.add(row.bounds->second);
    label_width = std::max(label_width, text_width(row.label, kFont + 1));
  }
  label_width = std::min(label_width, 220.0);
  // Intervals may stretch the axis to twice the range of the values; longer ones end in an arrow.
  double low, high;
  std::tie(low, high) = values.padded(0.04);
  const double room = (high - low) / 2;
  if (!bounds.empty()) {
    const auto [bound_low, bound_high] = bounds.padded(0.02);
    low = std::max(std::min(low, bound_low), low - room);
    high = std::min(std::max(high, bound_high), high + room);
  }
  const int decimals = decimals_for(largest);
  double number_width = text_width("95 % interval", kFont);
  for (const ForestRow& row : rows) {
    if (!row.bounds) continue;
    number_width =
        std::max(number_width,
                 text_width(bounds_fixed(row.bounds->first, row.bounds->second, decimals), kFont));
  }
  double value_width = text_width("effect", kFont);
  for (const ForestRow& row : rows) {
    if (row.value) {
      value_width = std::max(value_width, text_width(fixed(*row.value, decimals), kFont));
    }
  }
  number_width = std::min(number_width, 170.0);
  const double left = label_width + 14;
  const double interval_end = kWidth - 2;
  const double value_end = interval_end - number_width - 20;
  const double right = value_end - value_width - 20;
  const double bottom = kTop + kRow * static_cast<double>(rows.size()) + 4;
  const double height = bottom + 42;
  const auto x_of = [&](double x) { return left + (x - low) / (high - low) * (right - left); };

  std::string svg = open_svg(kWidth, height, description);
  const Ticks ticks = horizontal_ticks(low, high, right - left);
  for (const double tick : ticks.at) {
    svg += put_line(x_of(tick), kTop - 8, x_of(tick), bottom,
                    std::fabs(tick) < 1e-12 ? "zero" : "grid");
    svg += put_text(x_of(tick), bottom + 16, "tick mid", tick_label(tick, ticks.decimals));
  }
  svg += put_text((left + right) / 2, bottom + 36, "title mid",
                  fit_text(axis_title, right - left + 120, kFont));
  svg += put_text(value_end, kTop - 14, "title end", "effect");
  svg += put_text(interval_end, kTop - 14, "title end", "95 % interval");
  double y = kTop + kRow / 2;
  for (const ForestRow& row : rows) {
    if (row.gap) {
      svg += put_text(0, y + 4, "gap", fit_text(row.label, label_width, kFont + 1));
      y += kRow;
      continue;
    }
    svg += put_line(0, y + kRow / 2, kWidth, y + kRow / 2, "row");
    svg += put_text(0, y + 4, "name", fit_text(row.label, label_width, kFont + 1));
    if (row.naive) svg += mark(x_of(*row.naive), y, 4.2, Role::naive);
    if (row.backdoor) svg += mark(x_of(*row.backdoor), y, 4.2, Role::back_door);
    if (row.bounds) {
      const double from = std::max(row.bounds->first, low);
      const double to = std::min(row.bounds->second, high);
      if (from <= to) svg += put_line(x_of(from), y, x_of(to), y, "whisker front");
      if (row.bounds->first < low) svg += arrow(left, y, 6);
      if (row.bounds->second > high) svg += arrow(right, y, -6);
      svg += put_text(interval_end, y + 4, "number end",
                      fit_text(bounds_fixed(row.bounds->first, row.bounds->second, decimals),
                               number_width, kFont));
    }
    if (row.value) {
      svg += mark(x_of(*row.value), y, 4.6, Role::front_door);
      svg += put_text(value_end, y + 4, "strong end", fixed(*row.value, decimals));
    } else {
      svg += put_text(value_end, y + 4, "gap end", "none");
    }
    y += kRow;
  }
  return svg + "</svg>\n";
}

std::string share_bar(const std::vector<std::pair<std::string, double>>& parts,
                      const std::string& description) {
  constexpr double kWidth = 640;
  double sum = 0;
  for (const auto& part : parts) sum += std::max(part.second, 0.0);
  if (!(sum > 0)) return "";
  std::string svg = open_svg(kWidth, 26, description);
  double x = 0;
  for (size_t part = 0; part < parts.size(); ++part) {
    const double width = std::max(parts[part].second, 0.0) / sum * kWidth;
    svg += "<rect x=\"" + at(x) + "\" y=\"2\" width=\"" + at(std::max(width - 1.5, 0.0)) +
           "\" height=\"22\" class=\"part p" + std::to_string(part % 8) + "\"/>\n";
    x += width;
  }
  return svg + "</svg>\n";
}

}  // namespace alm::report
