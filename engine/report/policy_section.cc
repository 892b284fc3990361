// What a choice of exposures is worth, by budget and by who chooses.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine/report/fields.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"
#include "engine/report/svg_plot.h"

namespace alm::report {
namespace {

struct ChoiceLabel {
  const char* key;
  const char* label;
  Role role;
};
const ChoiceLabel kChoices[] = {{"model", "front-door model", Role::front_door},
                                {"backdoor", "back-door regression", Role::back_door},
                                {"last_touch", "last touch", Role::naive},
                                {"random", "random", Role::muted}};

std::string cell(const io::Json& row, const char* key) {
  const Number value = number(child(row, key));
  if (!value) return "<td>–</td>";
  std::string text = fixed(*value, 1);
  const Interval bounds = interval(child(child(row, "ci95"), key));
  if (bounds) text += " <span class=\"soft\">(" + interval_text(bounds, 1) + ")</span>";
  const Number truth = number(child(child(child(row, "truth"), key), "ett"));
  if (truth) text += " <span class=\"soft\">true " + fixed(*truth, 1) + "</span>";
  return "<td>" + text + "</td>";
}

std::string budget_text(double budget) {
  return percent(budget, budget < 0.01 ? 1 : 0);
}

// Values by budget, with intervals; the places of a budget lie side by side.
std::string plot(const io::Json& rows, const std::vector<ChoiceLabel>& shown) {
  Chart chart(640, 300, "Incremental outcomes per 1,000 exposures by budget");
  double offset = -0.1 * static_cast<double>(shown.size() - 1) / 2;
  for (const ChoiceLabel& choice : shown) {
    Points marks;
    std::vector<Interval> bounds;
    double place = 0;
    for (const io::Json& row : rows) {
      ++place;
      const Number value = number(child(row, choice.key));
      if (!value) continue;
      marks.emplace_back(place + offset, *value);
      bounds.push_back(interval(child(child(row, "ci95"), choice.key)));
    }
    chart.intervals(marks, bounds, choice.role);
    offset += 0.1;
  }
  if (chart.empty()) return "";
  chart.x_range(0.5, static_cast<double>(rows.size()) + 0.5);
  chart.include_y(0);
  chart.level(0);
  std::vector<std::pair<double, std::string>> budgets;
  for (size_t at = 0; at < rows.size(); ++at) {
    const Number budget = number(rows[at], "budget");
    if (budget) budgets.emplace_back(static_cast<double>(at + 1), budget_text(*budget));
  }
  chart.x_names(std::move(budgets));
  chart.x_title("Budget: share of the exposures that is kept");
  chart.y_title("Incremental outcomes per 1,000 exposures");
  return figure(chart.svg(), "Whiskers are 95 % intervals by a bootstrap of users.");
}

}  // namespace

std::string policy_section(const io::Json& estimates) {
  const io::Json& rows = child(estimates, "policy");
  if (!rows.is_array() || rows.empty()) {
    const std::string reason = why(estimates, "policy");
    return reason.empty() ? "" : section("policy", "Policy", "<p>" + not_given(reason) + "</p>\n");
  }
  std::vector<ChoiceLabel> shown;
  std::string missing;
  for (const ChoiceLabel& choice : kChoices) {
    const bool any = std::any_of(rows.begin(), rows.end(), [&](const io::Json& row) {
      return number(child(row, choice.key)).has_value();
    });
    if (any) {
      shown.push_back(choice);
    } else if (const std::string reason = why(rows.front(), choice.key); !reason.empty()) {
      missing += "<p class=\"note\">" + escape(choice.label) + ": " + not_given(reason) + "</p>\n";
    }
  }
  if (shown.empty()) return "";
  std::string html =
      "<p>Incremental outcomes per 1,000 exposures if only a small share of the exposures could be "
      "kept, by who chooses them. No choice knows the outcomes it is judged by: the value is "
      "the mean one-step effect on those who had the exposures, by fits of its own.</p>\n<ul "
      "class=\"legend\">";
  for (const ChoiceLabel& choice : shown) {
    html += "<li>" + role_swatch(choice.role) + escape(choice.label) + "</li>";
  }
  html += "</ul>\n" + plot(rows, shown) +
          "<div class=\"scroll stacked\"><table><thead><tr><th>budget</th>";
  for (const ChoiceLabel& choice : shown) html += "<th>" + escape(choice.label) + "</th>";
  html += "<th>front-door above back-door</th></tr></thead><tbody>\n";
  for (const io::Json& row : rows) {
    const Number budget = number(child(row, "budget"));
    if (!budget) continue;
    html += "<tr><th>" + budget_text(*budget) + "</th>";
    for (const ChoiceLabel& choice : shown) html += cell(row, choice.key);
    html += cell(child(row, "above"), "backdoor") + "</tr>\n";
  }
  html += "</tbody></table></div>\n";
  return section("policy", "Policy", html + missing);
}

}  // namespace alm::report
