#include "engine/estimate/control_verdict.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/text.h"

namespace alm {
namespace {

constexpr double kOutside = 0.05;
constexpr double kLeastWithin = 0.92, kMostWithin = 0.98;
constexpr double kMostMeanZ = 0.2;
constexpr double kOften = 0.05;   // chance explains it
constexpr double kSeldom = 1e-3;  // it does not

// P(exactly `outside`).
double chance_of(int64_t outside, int64_t clusters) {
  const double n = static_cast<double>(clusters), k = static_cast<double>(outside);
  return std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) +
                  k * std::log(kOutside) + (n - k) * std::log1p(-kOutside));
}

Verdict by_chance(double chance) {
  return chance >= kOften ? Verdict::pass : chance >= kSeldom ? Verdict::warn : Verdict::fail;
}

Verdict of_share(const ControlScore& score) {
  const double within = score.share_within();
  if (within < kLeastWithin) return by_chance(chance_of_at_least(score.outside, score.clusters));
  if (within <= kMostWithin) return Verdict::pass;
  return std::min(by_chance(chance_of_at_most(score.outside, score.clusters)), Verdict::warn);
}

Verdict of_mean(const ControlScore& score) {
  if (std::fabs(score.mean_z) <= kMostMeanZ) return Verdict::pass;
  const double deviations =
      std::fabs(score.mean_z) * std::sqrt(static_cast<double>(score.clusters));
  return by_chance(std::erfc(deviations / std::sqrt(2.0)));
}

const char* subject(Control control) {
  switch (control) {
    case Control::shuffled_mediator:
      return "With mediators shuffled within cluster and stratum of context";
    case Control::shuffled_treatment:
      return "With touches shuffled between journeys of a stratum of context";
    case Control::future_touches:
      return "For touches that came after the outcome";
    case Control::dropped_proxy:
    case Control::adversary_weight:
      break;  // score_agreement.cc
  }
  return "";
}

std::string sentence(Control control, Verdict verdict, const ControlScore& score, double moved) {
  const std::string found = found_text(score);
  std::string text = subject(control);
  if (verdict == Verdict::pass) return text + " the effects vanish, as they must: " + found;
  if (verdict == Verdict::fail) {
    text += " effects remain where there can be none (" + found + "): ";
    return text + (control == Control::future_touches
                       ? "something unseen moves both mediator and outcome, or the mediator knows "
                         "the outcome; do not read the effects as causes"
                       : "the fits or the intervals of this run are wrong; do not rely on them");
  }
  text += " the effects nearly vanish (" + found + ")";
  if (moved < kLeastMoved) {
    text += format(", but only %.0f %% of the touches could be moved", 100 * moved);
  }
  return text + ": read the intervals with care";
}

}  // namespace

const char* verdict_name(Verdict verdict) {
  return verdict == Verdict::pass ? "pass" : verdict == Verdict::warn ? "warn" : "fail";
}

double chance_of_at_least(int64_t outside, int64_t clusters) {
  double chance = 0;
  for (int64_t k = clusters; k >= std::max<int64_t>(outside, 0); --k) {
    chance += chance_of(k, clusters);
  }
  return chance;
}

double chance_of_at_most(int64_t outside, int64_t clusters) {
  double chance = 0;
  for (int64_t k = 0; k <= std::min(outside, clusters); ++k) chance += chance_of(k, clusters);
  return chance;
}

ControlScore score_of(const std::vector<double>& z) {
  ControlScore score;
  double sum = 0;
  for (const double one : z) {
    if (!std::isfinite(one)) continue;
    ++score.clusters;
    score.outside += std::fabs(one) > kControlQuantile;
    sum += one;
  }
  score.mean_z = score.clusters > 0 ? sum / static_cast<double>(score.clusters) : NAN;
  return score;
}

ControlScore control_score(const io::Json& effects) {
  std::vector<double> z;
  double values = 0, errors = 0;
  for (const io::Json& effect : effects) {
    const io::Json& of = effect.at("ett");
    if (!of.at("one_step").is_number() || !of.at("se").is_number()) continue;
    const double value = of.at("one_step").get<double>(), error = of.at("se").get<double>();
    z.push_back(value / error);
    if (!std::isfinite(z.back())) continue;
    values += value;
    errors += error;
  }
  ControlScore score = score_of(z);
  score.mean_over_error = values / errors;
  return score;
}

std::string found_text(const ControlScore& score) {
  return format("%lld of %lld within 1.96 standard errors of 0, mean z %.2f",
                static_cast<long long>(score.clusters - score.outside),
                static_cast<long long>(score.clusters), score.mean_z);
}

void put_score(const ControlScore& score, io::Json& json) {
  json["clusters"] = score.clusters;
  json["share_within_1_96"] = score.share_within();
  json["mean_z"] = score.mean_z;
}

Verdict verdict_of(const ControlScore& score) {
  return std::max(of_share(score), of_mean(score));
}

io::Json control_not_made(Control control, const std::string& why) {
  return {{"control", control_name(control)}, {"verdict", nullptr}, {"why", why}};
}

io::Json control_result(Control control, const io::Json& effects, const ControlReach& reach) {
  const ControlScore score = control_score(effects);
  if (score.clusters == 0) {
    return control_not_made(control, "no cluster has a standard error to judge by");
  }
  // Future touches come to some journeys alone; a shuffle is to leave nothing where it was.
  const double moved = static_cast<double>(reach.moved) / static_cast<double>(reach.touches);
  const bool shuffled = control != Control::future_touches;
  Verdict verdict = verdict_of(score);
  if (shuffled && moved < kLeastMoved) verdict = std::max(verdict, Verdict::warn);
  io::Json json{{"control", control_name(control)},
                {"verdict", verdict_name(verdict)},
                {"sentence", sentence(control, verdict, score, shuffled ? moved : 1)}};
  put_score(score, json);
  json["mean_over_error"] = score.mean_over_error;
  json["moved_share"] = moved;
  return json;
}

}  // namespace alm
