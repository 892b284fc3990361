#include "engine/report/roofline.h"

#include <algorithm>
#include <cmath>

#include "engine/report/html.h"
#include "engine/report/sections.h"
#include "engine/report/svg_plot.h"

namespace alm {
namespace report {
namespace {

// FLOP a byte, and what of it the machine allows: the slope of memory or the flat of products.
double intensity(const RooflineOp& op) {
  return op.flops / op.bytes;
}
double bound(const Roofline& roofline, double flops_per_byte) {
  return std::min(roofline.flops_per_second, flops_per_byte * roofline.bytes_per_second);
}
bool has_place(const RooflineOp& op) {
  return op.flops > 0 && op.bytes > 0 && op.seconds > 0;
}

std::string plot(const Roofline& roofline) {
  Range across;
  Points points;
  std::vector<std::string> labels;
  for (size_t index = 0; index < roofline.ops.size(); ++index) {
    const RooflineOp& op = roofline.ops[index];
    if (!has_place(op)) continue;
    across.add(std::log10(intensity(op)));
    points.emplace_back(std::log10(intensity(op)), std::log10(1e-9 * op.flops / op.seconds));
    labels.push_back(std::to_string(index + 1));
  }
  if (points.empty()) return "";
  const double ridge = std::log10(roofline.flops_per_second / roofline.bytes_per_second);
  across.add(ridge);
  const double low = std::floor(across.padded(0).first);
  const double high = std::ceil(across.padded(0).second);
  Points roof;
  for (const double x : {low, ridge, high}) {
    roof.emplace_back(x, std::log10(1e-9 * bound(roofline, std::pow(10, x))));
  }
  Chart chart(880, 420, "Rate of every operation by its FLOP a byte, under the limits of a thread");
  chart.powers_of_ten();
  chart.x_title("FLOP a byte");
  chart.y_title("GFLOP/s of one thread");
  chart.x_range(low, high);
  chart.line(roof, Role::muted);
  chart.dots(points, Role::front_door, 4, labels);
  return figure(chart.svg(),
                "The line is what one thread reaches at most: on the left y += x in memory, on the "
                "right one large product. Dots above it read from caches. Numbers are the rows of "
                "the table.");
}

std::string cell(const std::string& text) {
  return "<td>" + text + "</td>";
}

std::string row(const Roofline& roofline, size_t index) {
  const RooflineOp& op = roofline.ops[index];
  std::string html = "<tr><th>" + std::to_string(index + 1) + " " + escape(op.name) + "</th>";
  html += cell(percent(op.seconds / roofline.total_seconds)) + cell(fixed(op.calls, 1));
  html += cell(op.flops > 0 ? plain(1e-9 * op.flops / op.seconds) : "");
  html += cell(op.bytes > 0 ? plain(1e-9 * op.bytes / op.seconds) : "");
  if (has_place(op)) {
    html += cell(plain(intensity(op))) +
            cell(percent(op.flops / op.seconds / bound(roofline, intensity(op)), 0));
  } else if (op.bytes > 0) {
    html += cell("0") + cell(percent(op.bytes / op.seconds / roofline.bytes_per_second, 0));
  } else {
    html += cell("") + cell("");
  }
  return html + "</tr>\n";
}

}  // namespace
}  // namespace report

std::string make_roofline_report(const Roofline& roofline) {
  using namespace report;
  double within = 0;
  std::string rows;
  for (size_t index = 0; index < roofline.ops.size(); ++index) {
    within += roofline.ops[index].seconds;
    rows += row(roofline, index);
  }
  rows += "<tr><th>outside operations</th>" + cell(percent(1 - within / roofline.total_seconds)) +
          "</tr>\n";
  const std::string body =
      "<header><p class=\"kicker\">bench</p><h1>" + escape(roofline.title) + "</h1>\n<p>" +
      escape(roofline.machine) + "</p><p>One thread reaches " +
      fixed(1e-9 * roofline.flops_per_second, 0) + " GFLOP/s in one large product and " +
      fixed(1e-9 * roofline.bytes_per_second, 1) +
      " GB/s in memory, measured just before. All times are of the processor.</p></header>\n" +
      section("roofline", "How near the limits", plot(roofline)) +
      section("operations", "Where the time goes",
              "<div class=\"scroll\"><table><thead><tr><th>operation</th><th>of the time</th>"
              "<th>calls a step</th><th>GFLOP/s</th><th>GB/s</th><th>FLOP a byte</th>"
              "<th>of the limit</th></tr></thead><tbody>\n" +
                  rows + "</tbody></table></div>\n");
  return page(roofline.title, body);
}

}  // namespace alm
