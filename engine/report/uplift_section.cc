// How much uplift a ranking collects: grouped by exposure bucket, and per arm.
#include <algorithm>
#include <cmath>

#include "engine/report/fields.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"
#include "engine/report/svg_plot.h"

namespace alm::report {
namespace {

// One way of measuring gains, with its values over all clusters and by bucket.
struct Gain {
  std::string method;
  const io::Json* overall = nullptr;
  std::vector<const io::Json*> buckets;
};

const char* const kMethods[] = {"front_door", "difference", "ipw", "randomised"};

Role role_of(const std::string& method) {
  if (method == "front_door") return Role::front_door;
  if (method == "randomised") return Role::truth;
  return method == "ipw" ? Role::back_door : Role::naive;
}

std::string label_of(const std::string& method) {
  if (method == "front_door") return "front-door gains";
  if (method == "difference") return "difference in means";
  if (method == "ipw") return "inverse propensity gains";
  return method == "randomised" ? "randomised exposures" : method;
}

// Gains by method may stand outside ({method: {overall, buckets}}) or inside ({overall: {method:
// ..}, buckets: [{method: ..}]}).
std::vector<Gain> read_gains(const io::Json& grouped) {
  std::vector<Gain> gains;
  for (const std::string method : kMethods) {
    Gain gain;
    gain.method = method;
    const io::Json& outside = child(grouped, method);
    const bool is_outside = outside.is_object();
    const io::Json& overall = child(is_outside ? outside : grouped, "overall");
    const io::Json& own = is_outside ? overall : child(overall, method);
    if (own.is_object()) gain.overall = &own;
    const io::Json& buckets = child(is_outside ? outside : grouped, "buckets");
    if (buckets.is_array()) {
      for (const io::Json& bucket : buckets) {
        const io::Json& value = is_outside ? bucket : child(bucket, method);
        gain.buckets.push_back(&value);
      }
    }
    if (gain.overall || std::any_of(gain.buckets.begin(), gain.buckets.end(),
                                    [](const io::Json* bucket) { return bucket->is_object(); })) {
      gains.push_back(gain);
    }
  }
  return gains;
}

// A curve with its last point at (1, 1), so that curves of different totals share one picture; the
// straight line is then the random order. Left out where the total is not positive.
Points scaled(const Points& curve) {
  if (curve.size() < 2 || !(curve.back().second > 0) || !(curve.back().first > 0)) return {};
  Points result;
  for (const auto& [x, y] : curve) {
    result.emplace_back(x / curve.back().first, y / curve.back().second);
  }
  return result;
}

const char* const kAreas[][2] = {{"auuc_05", "auuc_05: chance 0.5, perfect 1"},
                                 {"backdoor_ranking", "auuc_05 of the back-door's ranking"},
                                 {"bucket_mean", "auuc_05, mean of the buckets"},
                                 {"bucket_mean_weighted", "auuc_05, mean weighted by touches"},
                                 {"raw_area", "raw area under the gains"},
                                 {"auuc_sk", "auuc_sk: scikit-uplift, chance 0"},
                                 {"qini_sk", "qini_sk: scikit-uplift"},
                                 {"auuc_causalml", "auuc_causalml: chance 0.5, unbounded"},
                                 {"qini_causalml", "qini_causalml"},
                                 {"bin_error_bound", "error bound of binning"}};

// The interval of an area, or why it has none: a ranking of two is 0 or 1 whatever it is worth.
std::string width_text(const io::Json& area) {
  const Interval bounds = interval(child(area, "ci95"));
  if (bounds) return interval_text(bounds, 3);
  const std::string reason = why(area, "ci95");
  return "no interval" + (reason.empty() ? "" : ": " + prose(shorten(reason, 160)));
}

std::string area_table(const std::vector<std::pair<std::string, const io::Json*>>& columns) {
  std::string html = "<div class=\"scroll\"><table><thead><tr><th>area</th>";
  for (const auto& column : columns) html += "<th>" + escape(shorten(column.first, 30)) + "</th>";
  html += "</tr></thead><tbody>\n";
  for (const auto& [key, label] : kAreas) {
    std::string row;
    bool any = false;
    for (const auto& column : columns) {
      const Number value = number(*column.second, key);
      any |= value.has_value();
      row += "<td>" + (value ? fixed(*value, std::string(key) == "bin_error_bound" ? 6 : 4) : "–") +
             "</td>";
      if (std::string(key) == "auuc_05" && value) {
        row.insert(row.size() - 5,
                   " <span class=\"soft\">(" + width_text(*column.second) + ")</span>");
      }
    }
    if (any) html += "<tr><th>" + escape(label) + "</th>" + row + "</tr>\n";
  }
  html += "</tbody></table></div>\n";
  const bool outside = std::ranges::any_of(columns, [](const auto& column) {
    const Interval bounds = interval(child(*column.second, "ci95"));
    const Number value = number(*column.second, "auuc_05");
    return bounds && value && (*value < bounds->first || *value > bounds->second);
  });
  if (!outside) return html;
  return html +
         "<p class=\"note\">An interval may lie above its value: noise in the gains draws an area "
         "towards chance, which the interval makes up for and the value does not.</p>\n";
}

std::string bucket_plots(const std::vector<Gain>& gains) {
  // Small multiples of the curves, one bucket each, with the first method that has curves.
  std::string html;
  for (const Gain& gain : gains) {
    std::string plots;
    for (size_t at = 0; at < gain.buckets.size() && at < 12; ++at) {
      const io::Json& bucket = *gain.buckets[at];
      const Points curve = scaled(points(child(bucket, "curve")));
      if (curve.empty()) continue;
      const Number area = number(bucket, "auuc_05");
      const std::string title =
          "Bucket " + std::to_string(at + 1) + (area ? ": auuc_05 " + fixed(*area, 2) : "");
      Chart chart(150, 136, "Uplift curve of " + title);
      chart.y_title(title);
      chart.x_range(0, 1);
      chart.include_y(1.0);
      chart.line(Points{{0, 0}, {1, 1}}, Role::muted, Stroke::dashed);
      chart.line(curve, role_of(gain.method));
      plots += "<figure>" + chart.svg() + "</figure>\n";
    }
    if (!plots.empty()) {
      return "<h3 style=\"margin-top:36px\">Uplift curves by exposure bucket (" +
             escape(label_of(gain.method)) +
             ")</h3>\n<p class=\"note\">Clusters with similar exposure share a bucket, from the "
             "least "
             "to the most shown; within one, the best predicted come first. Across: share of "
             "exposures taken. Up: share of the bucket's gain collected.</p>\n<div "
             "class=\"grid\">" +
             plots + "</div>\n";
    }
  }
  return html;
}

std::string bucket_areas(const std::vector<Gain>& gains) {
  Chart chart(424, 280, "auuc_05 by exposure bucket");
  double offset = -0.12 * static_cast<double>(gains.size() - 1) / 2;
  size_t most = 0;
  for (const Gain& gain : gains) {
    Points marks;
    std::vector<Interval> bounds;
    for (size_t at = 0; at < gain.buckets.size(); ++at) {
      const Number area = number(*gain.buckets[at], "auuc_05");
      if (!area) continue;
      marks.emplace_back(static_cast<double>(at + 1) + offset, *area);
      bounds.push_back(interval(child(*gain.buckets[at], "ci95")));
    }
    most = std::max(most, gain.buckets.size());
    chart.intervals(marks, bounds, role_of(gain.method));
    offset += 0.12;
  }
  if (chart.empty()) return "";
  chart.x_range(0.5, static_cast<double>(most) + 0.5);
  chart.include_y(0.5);
  chart.include_y(1.0);
  chart.level(0.5);
  chart.x_title("Exposure bucket, least to most shown");
  chart.y_title("auuc_05 (dashed: chance)");
  return figure(chart.svg(), "Whiskers are 95 % intervals by a bootstrap of users.");
}

std::string arm_areas(const io::Json& list) {
  if (!list.is_array() || list.empty()) return "";
  std::string html;
  std::vector<std::pair<std::string, const io::Json*>> columns;
  bool causal = true;
  for (const io::Json& arm : list) {
    std::string name = text(arm, "name");
    if (name.empty()) name = "arm " + text(arm, "cluster");
    if (number(arm, "auuc_05") || number(arm, "auuc_sk")) {
      if (columns.size() < 8) columns.emplace_back(name, &arm);
      causal &= number(arm, "causal").value_or(1) != 0;
    } else {
      html += "<p class=\"note\"><bdi>" + escape(shorten(name, 60)) +
              "</bdi>: " + not_given(why(arm, "auuc_05")) + "</p>\n";
    }
  }
  std::string plots;
  for (const auto& [name, arm] : columns) {
    const Points curve = points(child(*arm, "curve"));
    if (curve.size() < 2) continue;
    Chart chart(420, 260, "Uplift curve of an arm");
    chart.x_title("Journeys taken, best predicted first");
    chart.y_title("Cumulative gain (dashed: chance), " + name);
    chart.line(Points{curve.front(), curve.back()}, Role::muted, Stroke::dashed);
    chart.line(curve, Role::front_door);
    plots += "<figure>" + chart.svg() + "</figure>\n";
  }
  if (!plots.empty()) html += "<div class=\"grid\">" + plots + "</div>\n";
  if (!columns.empty()) html += area_table(columns);
  if (!causal) {
    html +=
        "<p class=\"note\">Exposure was not randomised: these curves are descriptive, not causal. "
        "On such a log they reward a model that copies the confounding.</p>\n";
  }
  return "<h3 style=\"margin-top:36px\">By arm</h3>\n" + html;
}

}  // namespace

std::string uplift_section(const io::Json& estimates) {
  const io::Json& grouped = child(estimates, "grouped_auuc");
  const std::vector<Gain> gains = read_gains(grouped);
  const std::string arms = arm_areas(child(estimates, "auuc"));
  if (gains.empty() && arms.empty()) {
    const std::string reason = why(estimates, "grouped_auuc");
    return reason.empty()
               ? ""
               : section("uplift", "Uplift curves", "<p>" + not_given(reason) + "</p>\n");
  }
  std::string html =
      "<p>If exposures were handed out in the order the model proposes, how much of the possible "
      "gain "
      "would be collected early? Chance is 0.5, the best possible order is 1.</p>\n";
  if (!gains.empty()) {
    html += "<ul class=\"legend\">";
    std::vector<std::pair<std::string, const io::Json*>> columns;
    Chart chart(424, 280, "Uplift curves over all clusters");
    chart.x_range(0, 1);
    for (const Gain& gain : gains) {
      html += "<li>" + role_swatch(role_of(gain.method)) + escape(label_of(gain.method)) + "</li>";
      if (!gain.overall) continue;
      columns.emplace_back(label_of(gain.method), gain.overall);
      chart.line(scaled(points(child(*gain.overall, "curve"))), role_of(gain.method));
    }
    html += "</ul>\n";
    std::string plots;
    if (!chart.empty()) {
      chart.line(Points{{0, 0}, {1, 1}}, Role::muted, Stroke::dashed);
      chart.x_title("Share of exposures, best predicted first");
      chart.y_title("Share of all gain collected (dashed: chance)");
      plots = figure(chart.svg(), "");
    }
    plots += bucket_areas(gains);
    if (!plots.empty()) html += "<div class=\"grid\">" + plots + "</div>\n";
    if (!columns.empty()) html += area_table(columns);
    html +=
        "<p class=\"note\" style=\"margin-top:14px\">Gains by difference inherit the confounding "
        "of "
        "the log and reward a model that repeats it; read the front-door gains, whose nuisances "
        "come from fits of their own.</p>\n";
    html += rate_note(child(grouped, "rate"));
    html += bucket_plots(gains);
    html += overlap_table(grouped);
  }
  return section("uplift", "Uplift curves", html + arms);
}

}  // namespace alm::report
