#include "engine/report/svg_plot.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "engine/report/html.h"
#include "kernels/base/text.h"

namespace alm::report {
namespace {

constexpr double kFont = 12;

// Coordinates with one decimal: finer than a pixel, and short.
std::string at(double value) {
  std::string digits = format("%.1f", value);
  if (digits.ends_with(".0")) digits.resize(digits.size() - 2);
  return digits == "-0" ? "0" : digits;
}

std::string open_svg(double width, double height, const std::string& description) {
  return "<svg class=\"plot\" viewBox=\"0 0 " + at(width) + " " + at(height) + "\" width=\"" +
         at(width) + "\" height=\"" + at(height) + "\" role=\"img\" aria-label=\"" +
         escape(description) + "\">\n";
}

std::string put_text(double x, double y, const char* style, const std::string& plain_text) {
  return "<text x=\"" + at(x) + "\" y=\"" + at(y) + "\" class=\"" + style + "\">" +
         escape(plain_text) + "</text>\n";
}

std::string put_line(double x1, double y1, double x2, double y2, const std::string& style) {
  return "<line x1=\"" + at(x1) + "\" y1=\"" + at(y1) + "\" x2=\"" + at(x2) + "\" y2=\"" + at(y2) +
         "\" class=\"" + style + "\"/>\n";
}

// Each role has a shape of its own, so that colour is never the only difference.
std::string mark(double x, double y, double radius, Role role) {
  const std::string style = std::string("\" class=\"mark ") + role_class(role) + "\"/>\n";
  switch (role) {
    case Role::naive:  // hollow diamond
      return "<path d=\"M" + at(x) + " " + at(y - radius * 1.2) + "l" + at(radius * 1.2) + " " +
             at(radius * 1.2) + "l" + at(-radius * 1.2) + " " + at(radius * 1.2) + "l" +
             at(-radius * 1.2) + " " + at(-radius * 1.2) + "z" + style;
    case Role::back_door:  // hollow square
      return "<rect x=\"" + at(x - radius * 0.9) + "\" y=\"" + at(y - radius * 0.9) +
             "\" width=\"" + at(radius * 1.8) + "\" height=\"" + at(radius * 1.8) + style;
    default:
      return "<circle cx=\"" + at(x) + "\" cy=\"" + at(y) + "\" r=\"" + at(radius) + style;
  }
}

// Where an interval runs on beyond the axis: the tip at (x, y), the base `length` to the right of
// it.
std::string arrow(double x, double y, double length) {
  return "<path class=\"arrow front\" d=\"M" + at(x) + " " + at(y) + "l" + at(length) +
         " -4v8z\"/>\n";
}

std::string tick_label(double value, int decimals) {
  return fixed(std::fabs(value) < 1e-12 ? 0 : value, decimals);
}

// Of an axis of powers of ten: 0.01, 1, 1,000.
std::string power_label(double tick) {
  return fixed(std::pow(10, tick), std::max(0, -static_cast<int>(std::lround(tick))));
}

double widest(const Ticks& ticks) {
  double width = 0;
  for (const double tick : ticks.at) {
    width = std::max(width, text_width(tick_label(tick, ticks.decimals), kFont));
  }
  return width;
}

Ticks whole_ticks(double low, double high) {
  Ticks ticks;
  for (double tick = std::ceil(low); tick <= high; ++tick) ticks.at.push_back(tick);
  return ticks;
}

// As many ticks along `length` pixels as leave room between their labels.
Ticks horizontal_ticks(double low, double high, double length) {
  for (int wanted = 7; wanted > 1; --wanted) {
    Ticks ticks = nice_ticks(low, high, wanted);
    const double spacing =
        ticks.at.size() < 2 ? length : (ticks.at[1] - ticks.at[0]) / (high - low) * length;
    if (spacing > widest(ticks) + 14) return ticks;
  }
  return nice_ticks(low, high, 1);
}

}  // namespace

Ticks nice_ticks(double low, double high, int wanted) {
  Ticks ticks;
  const double raw = (high - low) / std::max(wanted, 1);
  if (!(raw > 0) || !std::isfinite(raw)) return {{low}, 2};
  const double power = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw * 0.999) {
      step = factor * power;
      break;
    }
  }
  ticks.decimals = std::clamp(static_cast<int>(-std::floor(std::log10(step) + 1e-9)), 0, 9);
  for (double index = std::ceil(low / step - 1e-9); index * step <= high + step * 1e-9; ++index) {
    ticks.at.push_back(index * step);
    if (ticks.at.size() > 50) break;  // low and high differ by less than the precision of double
  }
  if (ticks.at.empty()) ticks.at.push_back(low);
  return ticks;
}

void Range::add(double value) {
  if (!std::isfinite(value) || std::fabs(value) > 1e200) return;
  low_ = std::min(low_, value);
  high_ = std::max(high_, value);
}

std::pair<double, double> Range::padded(double share) const {
  if (empty()) return {0, 1};
  double width = high_ - low_;
  const double size = std::max(std::fabs(low_), std::fabs(high_));
  if (width <= 1e-9 * size || width == 0) {
    width = size > 0 ? size : 1;
    return {low_ - width / 2, high_ + width / 2};
  }
  return {low_ - share * width, high_ + share * width};
}

const char* role_class(Role role) {
  switch (role) {
    case Role::front_door:
      return "front";
    case Role::naive:
      return "naive";
    case Role::back_door:
      return "back";
    case Role::truth:
      return "truth";
    case Role::muted:
      break;
  }
  return "muted";
}

std::string role_swatch(Role role, bool line) {
  std::string svg =
      "<svg class=\"swatch\" width=\"22\" height=\"12\" viewBox=\"0 0 22 12\" "
      "aria-hidden=\"true\">";
  if (line) svg += put_line(1, 6, 21, 6, std::string("line ") + role_class(role));
  if (!line) svg += mark(11, 6, 4.2, role);
  return svg + "</svg>";
}

Chart::Chart(double width, double height, std::string description)
    : width_(width), height_(height), description_(std::move(description)) {}

void Chart::x_range(double low, double high) {
  if (low < high) x_given_ = {low, high};
}

void Chart::y_range(double low, double high) {
  if (low < high) y_given_ = {low, high};
}

void Chart::add(Layer layer) {
  if (layer.points.empty()) return;
  for (const auto& [x, y] : layer.points) x_data_.add(x), y_data_.add(y);
  for (const auto& bound : layer.bounds) {
    if (bound) y_data_.add(bound->first), y_data_.add(bound->second);
  }
  layers_.push_back(std::move(layer));
}

void Chart::line(Points points, Role role, bool dashed) {
  Layer layer;
  layer.points = std::move(points);
  layer.role = role;
  layer.dashed = dashed;
  if (layer.points.size() == 1) layer.radius = 3;  // a line of one point would be invisible
  add(std::move(layer));
}

void Chart::dots(Points points, Role role, double radius, std::vector<std::string> labels) {
  Layer layer;
  layer.points = std::move(points);
  layer.labels = std::move(labels);
  layer.role = role;
  layer.radius = radius;
  add(std::move(layer));
}

void Chart::intervals(Points where,
                      const std::vector<std::optional<std::pair<double, double>>>& bounds,
                      Role role) {
  Layer layer;
  layer.points = std::move(where);
  layer.bounds = bounds;
  layer.role = role;
  layer.radius = 4;
  add(std::move(layer));
}

std::string Chart::label(double tick, int decimals) const {
  return powers_of_ten_ ? power_label(tick) : tick_label(tick, decimals);
}

std::string Chart::svg() const {
  double x_low, x_high, y_low, y_high;
  std::tie(x_low, x_high) = x_given_ ? *x_given_ : x_data_.padded(0.03);
  std::tie(y_low, y_high) = y_given_ ? *y_given_ : y_data_.padded(0.06);
  const double top = y_title_.empty() ? 10 : 28;
  const double bottom = height_ - (x_title_.empty() ? 24 : 42);
  int wanted = std::max(3, static_cast<int>((bottom - top) / 38));
  Ticks y_ticks = nice_ticks(y_low, y_high, wanted);
  while (y_ticks.at.size() < 2 && wanted < 8) y_ticks = nice_ticks(y_low, y_high, ++wanted);
  if (powers_of_ten_) y_ticks = whole_ticks(y_low, y_high);
  double label_width = 0;
  for (const double tick : y_ticks.at) {
    label_width = std::max(label_width, text_width(label(tick, y_ticks.decimals), kFont));
  }
  const double left = std::ceil(label_width) + 10;
  double right = width_ - 16;
  const Ticks x_ticks =
      powers_of_ten_ ? whole_ticks(x_low, x_high) : horizontal_ticks(x_low, x_high, right - left);
  right = std::min(right, width_ - widest(x_ticks) / 2 - 2);
  const auto x_of = [&](double x) {
    return left + (x - x_low) / (x_high - x_low) * (right - left);
  };
  const auto y_of = [&](double y) {
    return bottom - (y - y_low) / (y_high - y_low) * (bottom - top);
  };
  const auto inside = [&](double x, double y) {
    return x >= x_low - 1e-9 && x <= x_high + 1e-9 && y >= y_low - 1e-9 && y <= y_high + 1e-9;
  };

  std::string svg = open_svg(width_, height_, description_);
  for (const double tick : y_ticks.at) {
    svg += put_line(left, y_of(tick), right, y_of(tick), "grid");
    svg += put_text(left - 8, y_of(tick) + 4, "tick end", label(tick, y_ticks.decimals));
  }
  svg += put_line(left, bottom, right, bottom, "axis");
  for (const double tick : x_ticks.at) {
    svg += put_line(x_of(tick), bottom, x_of(tick), bottom + 4, "axis");
    svg += put_text(x_of(tick), bottom + 18, "tick mid", label(tick, x_ticks.decimals));
  }
  if (!y_title_.empty()) svg += put_text(0, 13, "title", fit_text(y_title_, width_, kFont));
  if (!x_title_.empty()) {
    svg += put_text(right, height_ - 5, "title end", fit_text(x_title_, right, kFont));
  }
  for (const double y : levels_) {
    if (inside(x_low, y)) svg += put_line(left, y_of(y), right, y_of(y), "reference");
  }
  const double from = std::max(x_low, y_low);
  const double to = std::min(x_high, y_high);
  if (diagonal_ && from < to) {
    svg += put_line(x_of(from), y_of(from), x_of(to), y_of(to), "reference");
  }
  for (const Layer& layer : layers_) {
    if (layer.radius == 0) {
      svg += std::string("<polyline class=\"line ") + role_class(layer.role) +
             (layer.dashed ? " dashed" : "") + "\" points=\"";
      for (const auto& [x, y] : layer.points) {
        // Outside a given range a line runs along the edge.
        svg += at(x_of(std::clamp(x, x_low, x_high))) + "," +
               at(y_of(std::clamp(y, y_low, y_high))) + " ";
      }
      svg += "\"/>\n";
      continue;
    }
    for (size_t index = 0; index < layer.points.size(); ++index) {
      const auto [x, y] = layer.points[index];
      if (!inside(x, y)) continue;
      if (index < layer.bounds.size() && layer.bounds[index]) {
        const double low = std::clamp(layer.bounds[index]->first, y_low, y_high);
        const double high = std::clamp(layer.bounds[index]->second, y_low, y_high);
        svg += put_line(x_of(x), y_of(low), x_of(x), y_of(high),
                        std::string("whisker ") + role_class(layer.role));
      }
      svg += mark(x_of(x), y_of(y), layer.radius, layer.role);
      if (index < layer.labels.size()) {
        svg += put_text(x_of(x) + layer.radius + 3, y_of(y) + 4, "tick", layer.labels[index]);
      }
    }
  }
  return svg + "</svg>\n";
}

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
  const double value_end = interval_end - number_width - 12;
  const double right = value_end - value_width - 18;
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
