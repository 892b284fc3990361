// Whether a control found nothing, as it must: estimates over clusters in standard errors.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/estimate/control.h"
#include "engine/estimate/control_log.h"
#include "io/json.h"

namespace alm {

// Of the clusters whose `ett.one_step` has a standard error: z = estimate / error.
struct ControlScore {
  int64_t clusters = 0;
  int64_t outside = 0;  // with |z| above kControlQuantile
  double mean_z = 0;    // NaN without clusters
  // Mean estimate over mean error. A z leans to where errors are small, and a mean of skewed values
  // that comes out low has a small error: this ratio does not. NaN where estimates are not known.
  double mean_over_error = NAN;
  double share_within() const {
    return 1 - static_cast<double>(outside) / static_cast<double>(clusters);
  }
};
inline constexpr double kControlQuantile = 1.96;

// Of z that are finite; the others do not count.
ControlScore score_of(const std::vector<double>& z);
// Of `effects` of estimates.json.
ControlScore control_score(const io::Json& effects);
// "95 of 100 within 1.96 standard errors of 0, mean z 0.03", and the same as keys of an object.
std::string found_text(const ControlScore& score);
void put_score(const ControlScore& score, io::Json& json);

enum class Verdict { pass, warn, fail };
const char* verdict_name(Verdict verdict);

// Bars: 92 to 98 % of the clusters within 1.96 errors of 0, mean z within 0.2 of 0. pass: inside
// them, or so few clusters that chance brings it once in twenty times or more; fail: outside, and
// chance brings it less than once in a thousand times; else warn. More than 98 % inside (errors
// that are too large) is never worse than warn. Chance: clusters independent, z normal. At least
// one cluster.
Verdict verdict_of(const ControlScore& score);

// P(at least `outside` of `clusters` lie outside) and P(at most), where each does with .05.
double chance_of_at_least(int64_t outside, int64_t clusters);
double chance_of_at_most(int64_t outside, int64_t clusters);

// Share of its touches that a control must move for its verdict to be better than warn.
inline constexpr double kLeastMoved = 0.95;

// What stands in `negative_controls`: control, verdict, sentence, clusters, share_within_1_96,
// mean_z, mean_over_error, moved_share; a null verdict with why where no cluster has an error.
io::Json control_result(Control control, const io::Json& effects, const ControlReach& reach);
// The same of a control that could not be made.
io::Json control_not_made(Control control, const std::string& why);

}  // namespace alm
