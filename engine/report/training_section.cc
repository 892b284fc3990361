// How well the outcome is predicted, and how the training went.
#include <algorithm>
#include <cmath>
#include <map>

#include "engine/report/fields.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"
#include "engine/report/svg_plot.h"

namespace alm::report {
namespace {

constexpr size_t kMostPoints = 400;  // of a curve; more are averaged in runs
constexpr size_t kMostLosses = 9;

Points thinned(const Points& all) {
  if (all.size() <= kMostPoints) return all;
  Points result;
  const size_t run = (all.size() + kMostPoints - 1) / kMostPoints;
  for (size_t first = 0; first < all.size(); first += run) {
    const size_t end = std::min(first + run, all.size());
    double x = 0, y = 0;
    for (size_t at = first; at < end; ++at) x += all[at].first, y += all[at].second;
    result.emplace_back(x / static_cast<double>(end - first), y / static_cast<double>(end - first));
  }
  return result;
}

std::string spaced(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

// Curves by name in the order of first appearance.
class Curves {
 public:
  void add(const std::string& name, double step, const io::Json& value) {
    const Number y = number(value);
    if (!y) return;
    if (!curves_.contains(name)) names_.push_back(name);
    curves_[name].emplace_back(step, *y);
  }
  const std::vector<std::string>& names() const { return names_; }
  Points of(const std::string& name) const {
    const auto found = curves_.find(name);
    return found == curves_.end() ? Points{} : found->second;
  }
  bool all_zero(const std::string& name) const {
    const Points curve = of(name);
    return std::all_of(curve.begin(), curve.end(), [](const auto& at) { return at.second == 0; });
  }

 private:
  std::vector<std::string> names_;
  std::map<std::string, Points> curves_;
};

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

std::string loss_plots(const Curves& training, const Curves& validation) {
  std::vector<std::string> names = training.names();
  for (const std::string& name : validation.names()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  // A loss that the model does not have is written as 0.
  std::erase_if(names, [&](const std::string& name) {
    return training.all_zero(name) && validation.all_zero(name);
  });
  if (names.size() > kMostLosses) names.resize(kMostLosses);
  std::string plots;
  for (const std::string& name : names) {
    Chart chart(270, 190, "Loss by step: " + name);
    chart.y_title(spaced(name));
    chart.x_title("step");
    chart.line(thinned(training.of(name)), Role::muted);
    chart.line(thinned(validation.of(name)), Role::front_door);
    plots += "<figure>" + chart.svg() + "</figure>\n";
  }
  if (plots.empty()) return "";
  return "<h3>Losses</h3>\n<ul class=\"legend\"><li>" + line_swatch(Role::muted) +
         "training</li><li>" + line_swatch(Role::front_door) +
         "validation</li></ul>\n<div class=\"grid\">" + plots + "</div>\n";
}

std::string calibration_plot(const io::Json& prediction) {
  const io::Json& list = child(prediction, "calibration");
  if (!list.is_array()) return "";
  Points bins;
  Range range;
  for (const io::Json& bin : list) {
    const Number predicted = number(bin, "predicted");
    const Number observed = number(bin, "observed");
    if (!predicted || !observed) continue;
    bins.emplace_back(*predicted, *observed);
    range.add(*predicted), range.add(*observed);
  }
  if (bins.empty()) return "";
  const auto [low, high] = range.padded(0.05);
  Chart chart(380, 320, "Calibration: observed against predicted");
  chart.x_range(std::max(low, 0.0), high);
  chart.y_range(std::max(low, 0.0), high);
  chart.x_title("Predicted");
  chart.y_title("Observed");
  chart.diagonal();
  chart.line(bins, Role::front_door);
  chart.dots(bins, Role::front_door, 3.4);
  return figure(chart.svg(),
                "Each point holds an equal share of the journeys. On the dashed line "
                "predictions come true as often as they say.");
}

}  // namespace

std::string prediction_section(const io::Json& estimates) {
  const io::Json& prediction = child(estimates, "prediction");
  if (!prediction.is_object()) {
    const std::string reason = why(estimates, "prediction");
    return reason.empty() ? ""
                          : section("prediction", "How well the outcome is predicted",
                                    "<p>" + not_given(reason) + "</p>\n");
  }
  constexpr TileSpec kTiles[] = {
      {"auc", "AUC", "chance that a journey with the outcome scores above one without", 4},
      {"gauc", "gAUC", "the same within users", 4},
      {"gauc_coverage", "gAUC coverage", "share of rows in users with both outcomes", 3},
      {"logloss", "Log loss", "per journey, nats", 4},
      {"rig", "RIG", "gain over always predicting the base rate", 4},
      {"pcoc", "PCOC", "predicted over observed; 1 is unbiased", 4},
      {"ece", "ECE", "mean gap between predicted and observed", 4},
      {"rmse", "RMSE", "root mean square error", -1},
      {"r2", "R²", "share of variance explained", 4},
  };
  std::string html =
      "<p>Prediction is a check of the fit, not of the effects: seeing the mediator raises AUC "
      "whether "
      "or not the causal reading holds.</p>\n<dl class=\"tiles\">\n";
  html += tiles(prediction, kTiles);
  return section("prediction", "How well the outcome is predicted",
                 html + "</dl>\n" + calibration_plot(prediction));
}

std::string training_section(const std::vector<io::Json>& metrics) {
  Curves training, validation;
  std::vector<double> rate, wait, comm;
  std::vector<std::pair<std::string, std::vector<double>>> phases;
  double last_step = 0, place = 0;
  const std::string fit = metrics.empty() ? "" : text(metrics.front(), "fit");
  for (const io::Json& report : metrics) {
    if (text(report, "fit") != fit) continue;
    const double step = number(report, "step").value_or(place);
    ++place;
    last_step = std::max(last_step, step);
    // While one part is refitted the other losses stand still: only its own is of interest.
    const std::string phase = text(report, "phase");
    const bool refit = !phase.empty() && phase != "train";
    const auto add = [&](Curves& curves, const io::Json& losses) {
      if (!losses.is_object()) return;
      for (const auto& [name, value] : losses.items()) {
        if (!refit) curves.add(name, step, value);
        if (refit && name == phase) curves.add(name + ", refitted", step, value);
      }
    };
    add(training, child(report, "losses"));
    add(validation, child(report, "validation"));
    if (refit) continue;  // its steps are others, in length and in parts
    validation.add("total", step, child(report, "validation_loss"));
    const auto keep = [&](std::vector<double>& values, const char* key) {
      if (const Number value = number(report, key)) values.push_back(*value);
    };
    keep(rate, "samples_per_s");
    keep(wait, "loader_wait");
    keep(comm, "comm_share");
    const io::Json& shares = child(report, "phase_shares");
    if (!shares.is_object()) continue;
    for (const auto& [name, value] : shares.items()) {
      const Number share = number(value);
      if (!share) continue;
      auto found = std::find_if(phases.begin(), phases.end(), [&wanted = name](const auto& known) {
        return known.first == wanted;
      });
      if (found == phases.end()) found = phases.insert(found, {name, {}});
      found->second.push_back(*share);
    }
  }
  std::string html = loss_plots(training, validation);
  std::string pace;
  if (!rate.empty()) {
    std::vector<double> sorted = rate;
    std::sort(sorted.begin(), sorted.end());
    pace += tile("Journeys per second", count(sorted[sorted.size() / 2]), "median of the reports");
  }
  if (!wait.empty()) pace += tile("Waiting for data", percent(mean_of(wait), 2), "of the step");
  if (!comm.empty())
    pace += tile("Talking to other ranks", percent(mean_of(comm), 1), "of the step");
  if (last_step > 0) pace += tile("Steps", count(last_step));
  if (!pace.empty()) html += "<dl class=\"tiles\" style=\"margin-top:32px\">\n" + pace + "</dl>\n";
  std::vector<std::pair<std::string, double>> parts;
  for (const auto& [name, values] : phases) {
    if (parts.size() < 8) parts.emplace_back(name, mean_of(values));
  }
  const std::string bar = share_bar(parts, "Where the time of a training step goes");
  if (!bar.empty()) {
    html += "<h3 style=\"margin-top:32px\">Where the time of a training step goes</h3>\n" +
            figure(bar, "") + "<ul class=\"legend\">";
    for (size_t at = 0; at < parts.size(); ++at) {
      html += "<li><span class=\"dot p" + std::to_string(at % 8) + "\"></span>" +
              escape(spaced(shorten(parts[at].first, 40))) + " " + percent(parts[at].second) +
              "</li>";
    }
    html += "</ul>\n";
  }
  return section("training", "How the training went", html);
}

}  // namespace alm::report
