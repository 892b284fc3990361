// What plots are drawn with: elements of SVG, the marks of roles, ticks and their labels.
#pragma once

#include <string>

#include "engine/report/svg_plot.h"

namespace alm::report {

inline constexpr double kFont = 12;

// Coordinates with one decimal: finer than a pixel, and short.
std::string at(double value);
std::string open_svg(double width, double height, const std::string& description);
std::string put_text(double x, double y, const char* style, const std::string& plain_text);
std::string put_line(double x1, double y1, double x2, double y2, const std::string& style);
// Each role that is drawn beside others has a shape of its own, so that colour is never the only
// difference.
std::string mark(double x, double y, double radius, Role role);
// Classes of a line: "line front dashed".
std::string line_class(Role role, Stroke stroke);
// Where an interval runs on beyond the axis: the tip at (x, y), the base `length` to the right of
// it.
std::string arrow(double x, double y, double length);

std::string tick_label(double value, int decimals);
// Of an axis of powers of ten: 0.01, 1, 1,000.
std::string power_label(double tick);
// Of the labels of the ticks, in pixels.
double widest(const Ticks& ticks);
Ticks whole_ticks(double low, double high);
// As many ticks along `length` pixels as leave room between their labels.
Ticks horizontal_ticks(double low, double high, double length);

}  // namespace alm::report
