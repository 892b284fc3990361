#include "launch/effects_table.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "kernels/base/text.h"

namespace alm {
namespace {

constexpr size_t kShown = 5;  // at either end
constexpr int64_t kLeastTouches = 20;

std::optional<double> at(const io::Json& json, const std::string& key) {
  if (!json.is_object() || !json.contains(key) || !json.at(key).is_number()) return std::nullopt;
  return json.at(key).get<double>();
}

std::string cell(std::optional<double> value) {
  return value ? format("%10.5g", *value) : format("%10s", "-");
}

std::string row(const io::Json& effect, const char* estimand, bool truth) {
  const io::Json& of = effect.at(estimand);
  std::string name = effect.at("name").get<std::string>();
  if (name.size() > 22) name = name.substr(0, 19) + "...";
  std::string interval = format("%23s", "-");
  if (of.contains("ci95") && of.at("ci95").is_array() && of.at("ci95").at(0).is_number()) {
    interval = format("%11.5g ..%10.5g", of.at("ci95").at(0).get<double>(),
                      of.at("ci95").at(1).get<double>());
  }
  std::string line = format(
      "  %-22s %9s %s %s  %s %s", name.c_str(),
      with_commas(effect.at("touches").get<int64_t>()).c_str(), cell(at(of, "one_step")).c_str(),
      interval.c_str(), cell(at(effect, "naive")).c_str(), cell(at(effect, "backdoor")).c_str());
  if (truth) line += " " + cell(at(effect.value("truth", io::Json()), estimand));
  return line + "\n";
}

std::string truth_line(const io::Json& truth) {
  std::string line = "  against the truth:";
  for (const char* key :
       {"cluster_spearman", "slope", "ratio", "coverage95", "oracle_auuc_05", "backdoor_auuc_05"}) {
    const std::optional<double> value = at(truth, key);
    if (value) line += format("  %s %.3f", key, *value);
  }
  return line + "\n";
}

}  // namespace

std::string effects_table(const io::Json& estimates) {
  const bool arms = estimates.value("log_kind", "sequence") == "arm";
  const char* const estimand = arms ? "do" : "ett";
  const bool truth = estimates.contains("truth") && estimates.at("truth").is_object();
  std::vector<const io::Json*> ranked;
  for (const io::Json& effect : estimates.at("effects")) {
    const bool enough = arms || effect.at("touches").get<int64_t>() >= kLeastTouches;
    if (enough && at(effect.at(estimand), "one_step")) ranked.push_back(&effect);
  }
  std::sort(ranked.begin(), ranked.end(), [&](const io::Json* left, const io::Json* right) {
    return *at(left->at(estimand), "one_step") > *at(right->at(estimand), "one_step");
  });

  std::string text = format(
      "\nFront-door effect (%s, one-step, %s) beside naive and back-door values%s\n", estimand,
      arms ? "per journey against the reference arm" : "per touch", truth ? " and the truth" : "");
  text += format("  %-22s %9s %10s %23s  %10s %10s", "cluster", "touches", estimand,
                 "95 % interval", "naive", "back-door");
  text += truth ? format(" %10s\n", "truth") : "\n";
  for (size_t place = 0; place < ranked.size(); ++place) {
    const bool shown = place < kShown || place + kShown >= ranked.size();
    if (shown) text += row(*ranked[place], estimand, truth);
    if (!shown && place == kShown) {
      text += format("  ... %zu more in estimates.json\n", ranked.size() - 2 * kShown);
    }
  }
  if (ranked.empty()) text += "  no front-door value: see `identification` in estimates.json\n";
  text += "\n";
  const io::Json prediction = estimates.value("prediction", io::Json::object());
  std::string line;
  for (const char* key : {"auc", "gauc", "logloss", "pcoc", "ece", "rmse", "r2"}) {
    const std::optional<double> value = at(prediction, key);
    if (value) line += format("  %s %.4g", key, *value);
  }
  if (!line.empty()) text += "  outcome prediction:" + line + "\n";
  if (truth) text += truth_line(estimates.at("truth"));
  const io::Json identification = estimates.value("identification", io::Json::object());
  for (const io::Json& warning : identification.value("warnings", io::Json::array())) {
    text += "  warning: " + warning.get<std::string>() + "\n";
  }
  return text;
}

}  // namespace alm
