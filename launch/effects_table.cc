#include "launch/effects_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/estimate/prediction_only.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

constexpr size_t kShown = 5;  // at either end
constexpr size_t kLongestName = 22;
constexpr size_t kReasons = 3;

using Row = std::vector<std::string>;

std::optional<double> at(const io::Json& json, const std::string& key) {
  if (!json.is_object() || !json.contains(key) || !json.at(key).is_number()) return std::nullopt;
  return json.at(key).get<double>();
}

std::string text_at(const io::Json& json, const std::string& key) {
  return json.contains(key) && json.at(key).is_string() ? json.at(key).get<std::string>() : "";
}

std::string cell(std::optional<double> value) {
  return value ? format("%.4g", *value) : "-";
}

// At most kLongestName bytes, cut between UTF-8 characters.
std::string short_name(const std::string& given) {
  const std::string name = io::one_line(given);
  if (name.size() <= kLongestName) return name;
  size_t end = kLongestName - 3;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0U) == 0x80U) --end;
  return name.substr(0, end) + "...";
}

std::string interval(const io::Json& estimate) {
  const io::Json ci95 = estimate.value("ci95", io::Json());
  if (!ci95.is_array() || !ci95.at(0).is_number()) return "-";
  return format("%.4g to %.4g", ci95.at(0).get<double>(), ci95.at(1).get<double>());
}

// Empty: the effect takes part in the ranking.
std::string why_hidden(const io::Json& estimate) {
  if (!at(estimate, "one_step")) {
    const std::string why = text_at(estimate, "one_step_why");
    return why.empty() ? text_at(estimate, "why") : why;
  }
  return text_at(estimate, "ci95_why");
}

// The columns padded to their widest cell, two blanks between them; the first is flush left.
std::string aligned(const std::vector<Row>& rows) {
  std::vector<size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], row[column].size());
    }
  }
  std::string text;
  for (const Row& row : rows) {
    for (size_t column = 0; column < row.size(); ++column) {
      const std::string padding(widths[column] - row[column].size(), ' ');
      text += "  " + (column == 0 ? row[column] + padding : padding + row[column]);
    }
    text += "\n";
  }
  return text;
}

std::string truth_line(const io::Json& truth) {
  const std::string estimand = truth.value("estimand", std::string());
  std::string line = "  against the truth" + (estimand.empty() ? "" : " of " + estimand) + ":";
  for (const char* key :
       {"cluster_spearman", "slope", "ratio", "coverage95", "oracle_auuc_05", "backdoor_auuc_05"}) {
    const std::optional<double> value = at(truth, key);
    if (value) line += format("  %s %.3f", key, *value);
  }
  return line + "\n";
}

// One line a reason.
std::string hidden_lines(const std::map<std::string, int64_t>& hidden, size_t all, bool arms) {
  std::string text;
  size_t lines = 0;
  for (const auto& [why, times] : hidden) {
    if (++lines > kReasons) break;
    text += format("  not shown: %lld of %zu %s, %s\n", static_cast<long long>(times), all,
                   arms ? "arms" : "clusters", why.empty() ? "no value" : why.c_str());
  }
  if (all == 0) text += "  no scored journey has a touch: there is no effect to show\n";
  return text;
}

std::string prediction_line(const io::Json& estimates) {
  const io::Json prediction = estimates.value("prediction", io::Json::object());
  std::string line;
  for (const char* key : {"auc", "gauc", "logloss", "pcoc", "ece", "rmse", "r2"}) {
    const std::optional<double> value = at(prediction, key);
    if (value) line += format("  %s %.4g", key, *value);
  }
  return line.empty() ? "" : "  outcome prediction:" + line + "\n";
}

std::string warning_lines(const io::Json& estimates) {
  std::string text;
  const io::Json identification = estimates.value("identification", io::Json::object());
  for (const io::Json& warning : identification.value("warnings", io::Json::array())) {
    text += "  warning: " + warning.get<std::string>() + "\n";
  }
  return text;
}

// One line a negative control.
std::string control_lines(const io::Json& estimates) {
  const io::Json identification = estimates.value("identification", io::Json::object());
  const io::Json controls = identification.value("negative_controls", io::Json());
  std::string text;
  if (!controls.is_array()) return text;
  for (const io::Json& made : controls) {
    const std::string verdict = text_at(made, "verdict");
    text += "  control " + text_at(made, "control") + ": " +
            (verdict.empty() ? "not made: " + text_at(made, "why")
                             : verdict + ". " + text_at(made, "sentence")) +
            "\n";
  }
  return text;
}

// What proxy mode gives in the place of effects.
std::string scores_table(const io::Json& estimates) {
  const bool truth = estimates.contains("truth") && estimates.at("truth").is_object();
  std::vector<const io::Json*> ranked;
  for (const io::Json& score : estimates.at("scores")) ranked.push_back(&score);
  std::stable_sort(ranked.begin(), ranked.end(), [](const io::Json* left, const io::Json* right) {
    return at(*left, "paper").value_or(0) > at(*right, "paper").value_or(0);
  });
  std::string text =
      "\nProxy mode: scores per touch, not effects, beside naive and back-door values\n";
  std::vector<Row> rows = {{"cluster", "touches", "paper", "do", "naive", "back-door"}};
  if (truth) rows[0].push_back("truth");
  const size_t left_out = ranked.size() > 2 * kShown ? ranked.size() - 2 * kShown : 0;
  for (size_t place = 0; place < ranked.size(); ++place) {
    if (left_out > 0 && place == kShown) {
      rows.push_back({format("... %zu more", left_out)});
      place += left_out;
    }
    const io::Json& score = *ranked[place];
    rows.push_back({short_name(score.at("name").get<std::string>()),
                    with_commas(score.at("touches").get<int64_t>()), cell(at(score, "paper")),
                    cell(at(score.value("do", io::Json()), "plugin")), cell(at(score, "naive")),
                    cell(at(score, "backdoor"))});
    if (truth) rows.back().push_back(cell(at(score.value("truth", io::Json()), "do")));
  }
  text += aligned(rows) + "\n" + prediction_line(estimates);
  for (const char* name : {"paper", "do"}) {
    const io::Json of = truth ? estimates.at("truth").value(name, io::Json()) : io::Json();
    if (of.is_object()) text += format("  %s:", name) + truth_line(of);
  }
  return text + control_lines(estimates) + warning_lines(estimates);
}

// What choosing a tenth of the exposures is worth.
std::string policy_line(const io::Json& policy) {
  if (!policy.is_array()) return "";
  for (const io::Json& row : policy) {
    if (at(row, "budget") != 0.10 || !at(row, "model")) continue;
    std::string line =
        format("  gain per 1,000 exposures if only a tenth is kept, chosen by: model %.3g",
               *at(row, "model"));
    const io::Json ci95 = row.value("ci95", io::Json::object());
    const std::string bounds = interval({{"ci95", ci95.value("model", io::Json())}});
    if (bounds != "-") line += " (" + bounds + ")";
    for (const auto& [key, label] :
         {std::pair{"backdoor", "back-door"}, {"last_touch", "last touch"}, {"random", "random"}}) {
      if (at(row, key)) line += format("  %s %.3g", label, *at(row, key));
    }
    return line + "\n";
  }
  return "";
}

}  // namespace

std::string effects_table(const io::Json& estimates) {
  if (text_at(estimates, "effects_why") == kPredictionOnly) {
    return "\n" + prediction_line(estimates) + warning_lines(estimates);
  }
  if (estimates.value("mediator_mode", "") == "proxy") return scores_table(estimates);
  const bool arms = estimates.value("log_kind", "sequence") == "arm";
  const char* const estimand = arms ? "do" : "ett";
  const bool truth = estimates.contains("truth") && estimates.at("truth").is_object();
  std::vector<const io::Json*> ranked;
  std::map<std::string, int64_t> hidden;
  for (const io::Json& effect : estimates.at("effects")) {
    const std::string why = why_hidden(effect.at(estimand));
    if (why.empty() && at(effect.at(estimand), "one_step")) {
      ranked.push_back(&effect);
    } else {
      ++hidden[why];
    }
  }
  std::stable_sort(ranked.begin(), ranked.end(), [&](const io::Json* left, const io::Json* right) {
    return *at(left->at(estimand), "one_step") > *at(right->at(estimand), "one_step");
  });

  std::string text = format(
      "\nFront-door effect (%s, one-step, %s) beside naive and back-door values%s\n", estimand,
      arms ? "per journey against the reference arm" : "per touch", truth ? " and the truth" : "");
  std::vector<Row> rows = {{arms ? "arm" : "cluster", arms ? "journeys" : "touches", estimand,
                            "95 % interval", "naive", "back-door"}};
  if (truth) rows[0].push_back("truth");
  const size_t left_out = ranked.size() > 2 * kShown ? ranked.size() - 2 * kShown : 0;
  for (size_t place = 0; place < ranked.size(); ++place) {
    if (left_out > 0 && place == kShown) {
      rows.push_back({format("... %zu more", left_out)});
      place += left_out;
    }
    const io::Json& effect = *ranked[place];
    const io::Json& of = effect.at(estimand);
    rows.push_back({short_name(effect.at("name").get<std::string>()),
                    with_commas(effect.at("touches").get<int64_t>()), cell(at(of, "one_step")),
                    interval(of), cell(at(effect, "naive")), cell(at(effect, "backdoor"))});
    if (truth) rows.back().push_back(cell(at(effect.value("truth", io::Json()), estimand)));
  }
  if (!ranked.empty()) text += aligned(rows);
  text += hidden_lines(hidden, estimates.at("effects").size(), arms) + "\n";
  text += prediction_line(estimates);
  if (truth) text += truth_line(estimates.at("truth"));
  text += policy_line(estimates.value("policy", io::Json()));
  return text + control_lines(estimates) + warning_lines(estimates);
}

}  // namespace alm
