// The `effects` of estimates.json as rows, ranked, with what a headline needs to know about them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/json.h"

namespace alm::report {

using Number = std::optional<double>;
using Interval = std::optional<std::pair<double, double>>;

// One estimand of one cluster.
struct Estimate {
  Number plugin;
  Number one_step;
  Number se;
  Interval ci95;
  Number clipped_share;
  Number ess;
  Number tmle;               // targeted value, where the run was told to make it
  Number bootstrap_se;       // of best(), users drawn and nuisances fitted again
  std::string why;           // why one_step is null
  std::string why_interval;  // why ci95 is null, where the run says so

  // One-step where there is one, else the plug-in.
  Number best() const { return one_step ? one_step : plugin; }
};

struct Effect {
  int64_t cluster = 0;
  std::string name;
  std::string unit;      // of the main estimand
  std::string ett_unit;  // arm logs name one for each
  Number touches;
  Number users;
  Number naive;
  Number backdoor;
  Estimate do_effect;
  Estimate ett;
  Estimate removal;
  Number truth_do;
  Number truth_ett;
};

enum class Estimand { do_effect, ett, removal };
const Estimate& estimate_of(const Effect& effect, Estimand estimand);

struct Effects {
  std::vector<Effect> rows;  // in the order of the file
  bool scores = false;       // proxy mode: there are scores in the place of effects
  bool arm_log = false;
  bool binary = true;
  Estimand main = Estimand::ett;  // ett for sequence logs, do for arm logs
  std::string why;                // why there are no effects

  // Indices into rows of the clusters with a value of the main estimand, largest first (ties by
  // place). What has too little data for an interval is left out, and counted by reason.
  std::vector<size_t> ranked;
  std::vector<std::pair<std::string, double>> left_out;
  bool has(Estimand estimand) const;
};

inline constexpr double kLeastTouches = 20;

// Whether there is enough behind the estimate to rank it.
bool ranks(const Effect& effect, Estimand estimand);

Effects read_effects(const io::Json& config, const io::Json& estimates);

// Spearman's rank correlation with midranks; nullopt for fewer than 3 pairs or a constant side.
Number spearman(const std::vector<std::pair<double, double>>& pairs);

}  // namespace alm::report
