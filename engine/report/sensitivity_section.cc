// How wrong the assumptions must be before the mean effect turns its sign.
#include <cmath>
#include <iterator>
#include <string>
#include <vector>

#include "engine/report/fields.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"
#include "engine/report/svg_plot.h"

namespace alm::report {
namespace {

// The numbers of a list, as many as there are; a null is a NaN that no plot shows.
std::vector<Number> numbers(const io::Json& list) {
  std::vector<Number> values;
  if (!list.is_array()) return values;
  for (const io::Json& value : list) values.push_back(number(value));
  return values;
}

const io::Json& item(const io::Json& list, size_t at) {
  static const io::Json kNull;
  return list.is_array() && at < list.size() ? list[at] : kNull;
}

std::string cell(const Number& value, int decimals) {
  return "<td>" + (value ? signed_fixed(*value, decimals) : std::string("–")) + "</td>";
}

std::string plot(const io::Json& of, double mean, const std::vector<Number>& strengths,
                 const std::vector<Number>& shares) {
  Chart chart(640, 280, "Mean effect by strength of a hidden common cause, a line a share");
  constexpr Stroke kStrokes[] = {Stroke::solid, Stroke::dashed, Stroke::dotted};
  std::string legend = "<ul class=\"legend\">";
  for (size_t r = 0; r < shares.size() && r < std::size(kStrokes); ++r) {
    Points line{{0, mean}};
    for (size_t s = 0; s < strengths.size(); ++s) {
      const Number value = number(item(item(child(of, "mean_by_strength"), s), r));
      if (strengths[s] && value) line.emplace_back(*strengths[s], *value);
    }
    chart.line(line, Role::front_door, kStrokes[r]);
    chart.dots(line, Role::front_door, 3);
    legend += "<li>" + line_swatch(Role::front_door, kStrokes[r]) + "share of " +
              (shares[r] ? percent(*shares[r], 0) : "–") + "</li>";
  }
  chart.include_y(0);
  chart.level(0);
  chart.x_title("Effect of the hidden cause on the mediator's logit");
  chart.y_title("Mean effect that is left");
  return legend + "</ul>\n" + figure(chart.svg(), "");
}

std::string by_strength(const io::Json& of, const std::vector<Number>& strengths,
                        const std::vector<Number>& shares, int decimals) {
  std::string html =
      "<div class=\"scroll\"><table><thead><tr><th>strength on the mediator (logit)</th>";
  for (const Number& share : shares) {
    html += "<th>mean effect at " + (share ? percent(*share, 0) : "–") + "</th>";
    html += "<th>clusters still clear</th>";
  }
  html += "<th>turns at a share of</th></tr></thead><tbody>\n";
  for (size_t s = 0; s < strengths.size(); ++s) {
    html += "<tr><th>" + (strengths[s] ? plain(*strengths[s]) : "–") + "</th>";
    for (size_t r = 0; r < shares.size(); ++r) {
      html += cell(number(item(item(child(of, "mean_by_strength"), s), r)), decimals);
      const Number clear = number(item(item(child(of, "clear_by_strength"), s), r));
      html += "<td>" + (clear ? count(*clear) : "–") + "</td>";
    }
    const Number turning = number(item(child(of, "turning_share"), s));
    html += "<td>" + (turning ? percent(*turning) : "none") + "</td></tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string grid(const io::Json& of, const std::vector<Number>& strengths, int decimals) {
  const std::vector<Number> directs = numbers(child(of, "direct"));
  const Number share = number(of, "share");
  if (directs.empty() || !share) return "";
  std::string html = "<details><summary>Mean effect by direct effect and strength, at a share of " +
                     percent(*share, 0) +
                     "</summary>\n<div class=\"scroll\"><table><thead><tr><th>direct effect</th>"
                     "<th>no hidden cause</th>";
  for (const Number& strength : strengths) {
    html += "<th>strength " + (strength ? plain(*strength) : "–") + "</th>";
  }
  html += "</tr></thead><tbody>\n";
  for (size_t d = 0; d < directs.size(); ++d) {
    html += "<tr><th>" + (directs[d] ? signed_fixed(*directs[d], decimals) : "–") + "</th>";
    for (size_t s = 0; s <= strengths.size(); ++s) {
      html += cell(number(item(item(child(of, "mean_effect"), d), s)), decimals);
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div></details>\n";
}

}  // namespace

std::string sensitivity_section(const io::Json& estimates) {
  const io::Json& of = child(child(estimates, "identification"), "sensitivity");
  const Number mean = number(of, "mean_effect");
  const std::vector<Number> strengths = numbers(child(of, "strengths"));
  const std::vector<Number> shares = numbers(child(of, "shares"));
  if (!mean || strengths.empty() || shares.empty()) return "";
  const int decimals = decimals_for(std::abs(*mean));
  std::string html = "<p>The mean effect over all scored exposures is " +
                     signed_fixed(*mean, decimals) +
                     ". A direct effect of the exposure, past the mediator, of " +
                     signed_fixed(-*mean, decimals) + " would bring the total to 0.";
  const Number clear = number(of, "clear_clusters");
  const Number turned = number(of, "clear_clusters_turned_by_direct");
  if (clear && turned) {
    html += " Of " + counted(*clear, "interval", "intervals") +
            " clear of 0, half would need one beyond " + fixed(*turned, decimals_for(*turned)) +
            ".";
  }
  html +=
      "</p>\n<p>A hidden cause of both mediator and outcome biases every front-door value. Below "
      "is "
      "what is left of the mean effect if there is one, by its effect on the mediator and by the "
      "share of the outcome's unexplained variance that it makes; intervals stay clear whichever "
      "way it works.</p>\n" +
      plot(of, *mean, strengths, shares) + by_strength(of, strengths, shares, decimals) +
      grid(child(of, "grid"), strengths, decimals);
  return section("sensitivity", "How wrong may the assumptions be?", html);
}

}  // namespace alm::report
