// Elements of SVG and the marks of roles.
#include "engine/report/svg_parts.h"

#include "engine/report/html.h"
#include "kernels/base/text.h"

namespace alm::report {

namespace {

std::string swatch(double width, const std::string& drawn) {
  return "<svg class=\"swatch\" width=\"" + at(width) + "\" height=\"12\" viewBox=\"0 0 " +
         at(width) + " 12\" aria-hidden=\"true\">" + drawn + "</svg>";
}

}  // namespace

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
    case Role::muted:  // cross
      return "<path d=\"M" + at(x - radius) + " " + at(y - radius) + "l" + at(radius * 2) + " " +
             at(radius * 2) + "m0 " + at(-radius * 2) + "l" + at(-radius * 2) + " " +
             at(radius * 2) + style;
    default:
      return "<circle cx=\"" + at(x) + "\" cy=\"" + at(y) + "\" r=\"" + at(radius) + style;
  }
}

std::string arrow(double x, double y, double length) {
  return "<path class=\"arrow front\" d=\"M" + at(x) + " " + at(y) + "l" + at(length) +
         " -4v8z\"/>\n";
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

std::string line_class(Role role, Stroke stroke) {
  const char* const stroke_class = stroke == Stroke::dashed   ? " dashed"
                                   : stroke == Stroke::dotted ? " dotted"
                                                              : "";
  return std::string("line ") + role_class(role) + stroke_class;
}

std::string role_swatch(Role role) {
  return swatch(22, mark(11, 6, 4.2, role));
}

std::string line_swatch(Role role, Stroke stroke) {
  return swatch(34, put_line(1, 6, 33, 6, line_class(role, stroke)));
}

}  // namespace alm::report
