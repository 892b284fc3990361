// Synthetic logs: what was estimated against what is true.
#include <algorithm>

#include "engine/report/fields.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"
#include "engine/report/svg_plot.h"

namespace alm::report {
namespace {

constexpr size_t kDots = 2000;  // more are a blot: every so manieth is drawn then

// Both charts on one pair of ranges, so that they can be compared by eye.
std::string scatter(const Points& points, Role role, const Range& x, const Range& y,
                    const std::string& x_title, const std::string& y_title) {
  if (points.empty()) return "";
  Chart chart(420, 320, x_title + " against " + y_title);
  const auto [x_low, x_high] = x.padded(0.04);
  const auto [y_low, y_high] = y.padded(0.06);
  chart.x_range(x_low, x_high);
  chart.y_range(y_low, y_high);
  chart.x_title(x_title);
  chart.y_title(y_title);
  chart.diagonal();
  const size_t stride = (points.size() + kDots - 1) / kDots;
  Points drawn;
  for (size_t at = 0; at < points.size(); at += stride) drawn.push_back(points[at]);
  chart.dots(drawn, role, drawn.size() > 300 ? 2.4 : 3.6);
  return chart.svg();
}

}  // namespace

std::string truth_section(const io::Json& estimates, const Effects& effects) {
  const io::Json& truth = child(estimates, "truth");
  Points ours, backdoor;
  Range x, y;
  const bool use_do = std::any_of(effects.rows.begin(), effects.rows.end(), [](const Effect& row) {
    return row.truth_do && row.do_effect.plugin;
  });
  for (const Effect& effect : effects.rows) {
    const Number actual = use_do ? effect.truth_do : effect.truth_ett;
    const Number estimate = use_do ? effect.do_effect.plugin : effect.ett.plugin;
    if (!actual || effect.touches.value_or(kLeastTouches) < kLeastTouches) continue;
    y.add(*actual);
    if (estimate) ours.emplace_back(*estimate, *actual), x.add(*estimate);
    if (effect.backdoor) backdoor.emplace_back(*effect.backdoor, *actual), x.add(*effect.backdoor);
  }
  if (!truth.is_object() && ours.empty()) return "";

  const std::string name = use_do ? "do" : "ett";
  const std::string y_title =
      "True " + name + (effects.arm_log ? " of the arm" : " of the cluster");
  std::string html =
      "<p>The log was simulated, so every effect is known in closed form; training never saw it. "
      "Points on the dashed line are exact.</p>\n";
  std::string plots =
      figure(scatter(ours, Role::front_door, x, y, "Estimated: front-door, " + name, y_title), "") +
      figure(scatter(backdoor, Role::back_door, x, y, "Estimated: back-door", y_title), "");
  if (!plots.empty()) html += "<div class=\"grid\">" + plots + "</div>\n";
  html += "<dl class=\"tiles\">\n";
  constexpr TileSpec kTiles[] = {
      {"cluster_spearman", "Rank agreement", "Spearman over clusters; 1 is perfect", 3},
      {"oracle_auuc_05", "Uplift collected by our ranking", "auuc_05 with true gains; chance 0.5",
       3},
      {"backdoor_auuc_05", "Uplift collected by back-door", "the same scale", 3},
      {"slope", "Slope", "truth on estimate, per touch; 1 is calibrated", 3},
      {"ratio", "Ratio", "mean estimate / mean truth; 1 is unbiased", 3},
      {"touch_rmse", "Error per touch", "root mean square", 4},
      {"touch_sd", "Spread of the truth", "standard deviation per touch", 4},
      {"ate_error", "Error of the mean effect", "", 4},
      {"ci95_width_median", "Width of the intervals", "median over clusters (ett)", 4},
      {"pehe", "PEHE", "root mean square error of the effects", 4},
  };
  html += tiles(truth, kTiles);
  if (const Number coverage = number(truth, "coverage95")) {
    html += tile("Coverage of the intervals", percent(*coverage, 0),
                 "share of 95 % intervals (ett) that hold the truth");
  } else if (truth.is_object()) {
    html += tile("Coverage of the intervals", not_given(why(truth, "coverage95")));
  }
  return section("truth", "Against the truth", html + "</dl>\n");
}

}  // namespace alm::report
