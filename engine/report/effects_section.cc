#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "engine/report/html.h"
#include "engine/report/sections.h"
#include "engine/report/svg_plot.h"

namespace alm::report {
namespace {

constexpr size_t kShownWhole = 24;  // up to so many clusters the plot shows all of them
constexpr size_t kShownTop = 12;
constexpr size_t kShownBottom = 8;
constexpr size_t kTableRows = 1000;  // a longer table is read by no one: estimates.json has it
constexpr int64_t kNameLength = 48;

struct Wording {
  Estimand estimand;
  std::string id;
  std::string name;
  std::string question;
};

Wording wording(Estimand estimand, bool arm_log) {
  if (estimand == Estimand::removal) {
    return {
        estimand, "removal", "removal",
        "All touches of the cluster deleted, per exposed user. Rank by the plug-in, read the size "
        "from the one-step value and its interval."};
  }
  if (estimand == Estimand::ett) {
    return {estimand, "ett", "ett",
            arm_log
                ? "Effect on those who got the arm: their outcome minus what it would have been "
                  "under the reference arm."
                : "Effect on those who saw it: their outcome minus what it would have been without "
                  "this one touch, all else as it was."};
  }
  return {estimand, "do", "do",
          arm_log
              ? "Everybody given the arm minus everybody given the reference arm."
              : "The journey assigned as it was minus the journey assigned without this touch, for "
                "users of this context."};
}

std::string axis_title(const Effects& effects, Estimand estimand) {
  // The reference arm comes first and may have no unit.
  const Effect& any = effects.rows[effects.ranked.empty() ? 0 : effects.ranked.front()];
  const std::string& unit = estimand == Estimand::ett ? any.ett_unit : any.unit;
  const std::string name = wording(estimand, effects.arm_log).name;
  if (!unit.empty()) return name + ", " + shorten(unit, 90);
  return name + (effects.arm_log  ? ", change of the mean outcome per journey"
                 : effects.binary ? ", change of outcome probability per touch"
                                  : ", change of the outcome per touch");
}

std::vector<size_t> ranked_by(const Effects& effects, Estimand estimand) {
  if (estimand == effects.main) return effects.ranked;
  std::vector<size_t> rows;
  for (size_t row = 0; row < effects.rows.size(); ++row) {
    if (ranks(effects.rows[row], estimand)) rows.push_back(row);
  }
  std::stable_sort(rows.begin(), rows.end(), [&](size_t a, size_t b) {
    return *estimate_of(effects.rows[a], estimand).best() >
           *estimate_of(effects.rows[b], estimand).best();
  });
  return rows;
}

std::string forest(const Effects& effects, Estimand estimand) {
  const std::vector<size_t> order = ranked_by(effects, estimand);
  if (order.empty()) return "";
  std::vector<ForestRow> rows;
  const bool whole = order.size() <= kShownWhole;
  for (size_t at = 0; at < order.size(); ++at) {
    if (!whole && at == kShownTop) {
      ForestRow gap;
      gap.gap = true;
      gap.label = count(static_cast<double>(order.size() - kShownTop - kShownBottom)) +
                  " clusters in between";
      rows.push_back(gap);
      at = order.size() - kShownBottom;
    }
    const Effect& effect = effects.rows[order[at]];
    const Estimate& estimate = estimate_of(effect, estimand);
    ForestRow row;
    row.label = effect.name;
    row.value = estimate.best();
    row.bounds = estimate.ci95;
    row.naive = effect.naive;
    row.backdoor = effect.backdoor;
    rows.push_back(row);
  }
  return forest_plot(rows, axis_title(effects, estimand),
                     "Effects by " + wording(estimand, effects.arm_log).name +
                         " with 95 % intervals beside naive and back-door values");
}

std::string legend(bool arm_log) {
  return "<ul class=\"legend\"><li>" + role_swatch(Role::front_door) +
         "front-door, with its 95&#160;% interval</li><li>" + role_swatch(Role::naive) +
         (arm_log ? "naive: arm minus reference" : "naive: journeys with minus journeys without") +
         "</li><li>" + role_swatch(Role::back_door) +
         "back-door: regression on what was observed</li></ul>\n";
}

struct Column {
  std::string title;
  std::function<Number(const Effect&)> value;
  bool share = false;
  bool whole = false;
};

// Order of the rows by one column, largest first, rows without a value last: place[row].
std::vector<int64_t> places(const Effects& effects,
                            const std::function<bool(const Effect&, const Effect&)>& before) {
  std::vector<size_t> order(effects.rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return before(effects.rows[a], effects.rows[b]); });
  std::vector<int64_t> place(order.size());
  for (size_t at = 0; at < order.size(); ++at) place[order[at]] = static_cast<int64_t>(at);
  return place;
}

// The rows of the table, in the order of the file: all, or the kTableRows of the largest effect
// either way, ranked clusters before those with too few touches to be ranked.
Effects tabled(const Effects& effects, Estimand estimand) {
  if (effects.rows.size() <= kTableRows) return effects;
  std::vector<std::pair<bool, double>> key(effects.rows.size());  // unranked, minus its size
  for (size_t row = 0; row < key.size(); ++row) {
    const Number best = estimate_of(effects.rows[row], estimand).best();
    key[row] = {true, best ? -std::fabs(*best) : 1.0};
  }
  for (const size_t row : effects.ranked) key[row].first = false;
  std::vector<size_t> order(key.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key[a] < key[b]; });
  order.resize(kTableRows);
  std::sort(order.begin(), order.end());
  Effects shown;
  shown.arm_log = effects.arm_log;
  for (const size_t row : order) shown.rows.push_back(effects.rows[row]);
  return shown;
}

// The buttons above it reorder the rows by style alone.
std::string table(const Effects& effects, Estimand estimand) {
  const auto of = [estimand](const Effect& effect) -> const Estimate& {
    return estimate_of(effect, estimand);
  };
  std::vector<Column> columns = {
      {"touches", [](const Effect& e) { return e.touches; }, false, true},
      {"users", [](const Effect& e) { return e.users; }, false, true},
      {"plug-in", [&](const Effect& e) { return of(e).plugin; }},
      {"one-step", [&](const Effect& e) { return of(e).one_step; }},
      {"se", [&](const Effect& e) { return of(e).se; }},
      {"tmle", [&](const Effect& e) { return of(e).tmle; }},
      {"refitted se", [&](const Effect& e) { return of(e).bootstrap_se; }},
      {"clipped", [&](const Effect& e) { return of(e).clipped_share; }, true},
      {"ess", [&](const Effect& e) { return of(e).ess; }, false, true},
      {"naive", [](const Effect& e) { return e.naive; }},
      {"back-door", [](const Effect& e) { return e.backdoor; }},
  };
  std::erase_if(columns, [&](const Column& column) {
    return std::none_of(effects.rows.begin(), effects.rows.end(),
                        [&](const Effect& effect) { return column.value(effect).has_value(); });
  });
  const bool intervals = std::any_of(effects.rows.begin(), effects.rows.end(),
                                     [&](const Effect& e) { return of(e).ci95.has_value(); });
  const bool one_step = std::any_of(columns.begin(), columns.end(), [](const Column& column) {
    return column.title == "one-step";
  });
  const std::string beside = one_step ? "one-step" : "plug-in";  // what the interval is of
  double largest = 0;
  for (const Effect& effect : effects.rows) {
    largest = std::max(largest, std::fabs(of(effect).best().value_or(0)));
  }
  const int decimals = std::min(decimals_for(largest) + (largest < 100 ? 1 : 0), 6);

  const auto larger = [](const std::function<Number(const Effect&)>& value) {
    return [value](const Effect& a, const Effect& b) {
      return value(a).value_or(-1e300) > value(b).value_or(-1e300);
    };
  };
  struct Order {
    const char* label;
    std::vector<int64_t> place;
  };
  const Order orders[] = {
      {"effect", places(effects, larger([&](const Effect& e) { return of(e).best(); }))},
      {"touches", places(effects, larger([](const Effect& e) { return e.touches; }))},
      {"naive", places(effects, larger([](const Effect& e) { return e.naive; }))},
      {"back-door", places(effects, larger([](const Effect& e) { return e.backdoor; }))},
      {"name", places(effects, [](const Effect& a, const Effect& b) { return a.name < b.name; })},
  };
  const Wording words = wording(estimand, effects.arm_log);
  // Fixed widths: every row is a grid of its own, and all must agree.
  std::string widths;
  for (const Column& column : columns) {
    widths += column.whole || column.share ? " 60px" : " 76px";
    if (intervals && column.title == beside) widths += " 140px";
  }
  std::string html = "<div class=\"sorted\" style=\"--columns:" + widths +
                     "\"><span class=\"note\">Order by </span>\n";
  for (int at = 0; at < 5; ++at) {
    const std::string id = "sort-" + words.id + "-" + std::to_string(at);
    html += "<input type=\"radio\" class=\"s" + std::to_string(at) + "\" name=\"sort-" + words.id +
            "\" id=\"" + id + "\"" + (at == 0 ? " checked=\"checked\"" : "") + "/><label for=\"" +
            id + "\">" + orders[at].label + "</label>\n";
  }
  html += "<div class=\"scroll\"><table><thead><tr><th>" +
          std::string(effects.arm_log ? "arm" : "cluster") + "</th>";
  for (const Column& column : columns) {
    const bool ours = column.title == "plug-in" || column.title == "one-step";
    html += "<th>" + (ours ? words.name + " " : "") + column.title + "</th>";
    if (intervals && column.title == beside) html += "<th>95&#160;% interval</th>";
  }
  html += "</tr></thead>\n<tbody>\n";
  for (size_t at = 0; at < effects.rows.size(); ++at) {
    const Effect& effect = effects.rows[at];
    html += "<tr style=\"";
    for (int order = 0; order < 5; ++order) {
      html += std::string(order > 0 ? ";" : "") + "--" + static_cast<char>('a' + order) + ":" +
              std::to_string(orders[order].place[at]);
    }
    html += "\"><th><bdi>" + escape(shorten(effect.name, kNameLength)) + "</bdi></th>";
    for (const Column& column : columns) {
      const Number value = column.value(effect);
      html += "<td>" +
              (!value         ? std::string("–")
               : column.whole ? count(*value)
               : column.share ? percent(*value)
                              : fixed(*value, decimals)) +
              "</td>";
      if (intervals && column.title == beside) {
        html += "<td>" + interval_text(of(effect).ci95, decimals) + "</td>";
      }
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div></div>\n";
}

// Reasons given for missing one-step values, or for missing any, each once.
std::string reasons(const Effects& effects, Estimand estimand) {
  std::vector<std::pair<std::pair<std::string, std::string>, double>> seen;  // (what, why), times
  for (const Effect& effect : effects.rows) {
    const Estimate& estimate = estimate_of(effect, estimand);
    if (estimate.one_step || estimate.why.empty()) continue;
    const std::pair<std::string, std::string> missing{
        estimate.plugin ? "No one-step value" : "No value", estimate.why};
    const auto found = std::find_if(seen.begin(), seen.end(),
                                    [&](const auto& item) { return item.first == missing; });
    if (found == seen.end()) {
      if (seen.size() < 5) seen.emplace_back(missing, 1);
    } else {
      ++found->second;
    }
  }
  std::string html;
  for (const auto& [missing, times] : seen) {
    html += "<p class=\"note\">" + missing.first + " for " +
            (times == static_cast<double>(effects.rows.size()) ? std::string("any of them")
                                                               : count(times) + " of them") +
            ": " + prose(shorten(missing.second, 400)) + "</p>\n";
  }
  return html;
}

std::string refitted_note(const Effects& effects, Estimand estimand) {
  const bool any = std::any_of(effects.rows.begin(), effects.rows.end(), [&](const Effect& effect) {
    return estimate_of(effect, estimand).bootstrap_se.has_value();
  });
  return any ? " Refitted se: the standard error over replicates that drew the users again and "
               "fitted every nuisance again."
             : "";
}

}  // namespace

std::string effects_section(const Effects& effects) {
  if (effects.rows.empty()) {
    return section("effects", "Effects", "<p>" + not_given(effects.why) + "</p>\n");
  }
  const Wording main = wording(effects.main, effects.arm_log);
  std::string html =
      "<p>" + escape(main.question) + " This estimand is called <b>" + main.name + "</b>.</p>\n" +
      legend(effects.arm_log) +
      figure(forest(effects, effects.main),
             effects.ranked.size() > kShownWhole
                 ? "The largest and the smallest effects among clusters with enough data for an "
                   "interval. The ends of a ranking are partly luck: each interval "
                   "is for its own cluster, not for being first."
                 : "");
  if (effects.arm_log && effects.main == Estimand::do_effect && effects.has(Estimand::ett)) {
    html += "<h3 style=\"margin-top:36px\">Those who got it (ett)</h3>\n<p>" +
            escape(wording(Estimand::ett, true).question) + "</p>\n" +
            figure(forest(effects, Estimand::ett), "");
  }
  for (const Estimand estimand : {Estimand::ett, Estimand::do_effect, Estimand::removal}) {
    const std::string why_not = reasons(effects, estimand);
    if (!effects.has(estimand) && why_not.empty()) continue;
    const Wording words = wording(estimand, effects.arm_log);
    const std::string all =
        counted(static_cast<double>(effects.rows.size()), effects.arm_log ? "arm" : "cluster",
                effects.arm_log ? "arms" : "clusters");
    const Effects shown = tabled(effects, estimand);
    html += "<details><summary>" +
            (shown.rows.size() == effects.rows.size()
                 ? "All " + all
                 : "The " + count(static_cast<double>(shown.rows.size())) + " largest effects of " +
                       all + " (estimates.json has all)") +
            ", " + words.name + "</summary>\n<p class=\"note\" style=\"margin-top:10px\">" +
            escape(words.question) + refitted_note(effects, estimand) + "</p>\n" + why_not +
            (effects.has(estimand) ? table(shown, estimand) : "") + "</details>\n";
  }
  return section("effects",
                 effects.arm_log ? "The arms against the reference" : "Effect of one touch", html);
}

}  // namespace alm::report
