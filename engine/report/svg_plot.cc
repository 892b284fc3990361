// Charts with two axes.
#include "engine/report/svg_plot.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "engine/report/html.h"
#include "engine/report/svg_parts.h"

namespace alm::report {

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

void Chart::line(Points points, Role role, Stroke stroke) {
  Layer layer;
  layer.points = std::move(points);
  layer.role = role;
  layer.stroke = stroke;
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
  std::vector<std::pair<double, std::string>> named = x_names_;
  if (named.empty()) {
    for (const double tick : x_ticks.at) named.emplace_back(tick, label(tick, x_ticks.decimals));
  }
  for (const auto& [tick, name] : named) {
    svg += put_line(x_of(tick), bottom, x_of(tick), bottom + 4, "axis");
    svg += put_text(x_of(tick), bottom + 18, "tick mid", name);
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
      svg += "<polyline class=\"" + line_class(layer.role, layer.stroke) + "\" points=\"";
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

}  // namespace alm::report
