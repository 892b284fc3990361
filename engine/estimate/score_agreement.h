// Scores of proxy mode by two fits side by side: what hangs on a choice of the fit.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/estimate/control_verdict.h"
#include "io/json.h"

namespace alm {

// Over clusters of 20 scored touches or more, by their mean `do.plugin`, or `paper` where the code
// has no law.
struct ScoreAgreement {
  int64_t clusters = 0;
  double spearman = 0;  // NaN where ranks are undefined
  double ratio = 0;     // mean score of the other fit over that of the run, touches counting
};

// `scores` of estimates.json: of the run, and of another fit on the same touches.
ScoreAgreement score_agreement(const io::Json& scores, const io::Json& others);

// pass: Spearman .9 or more and a ratio of .8 to 1.25; warn: .7 and .5 to 2; else fail.
Verdict verdict_of(const ScoreAgreement& agreement);

// Another fit of the same scores, by what was changed in it.
struct ScoreVariant {
  std::string changed;  // "V1", "0.5"
  io::Json scores;
};
// An entry of `negative_controls`: control, verdict (the worst), sentence, fits [{"changed",
// "spearman", "ratio"}]. At least one variant.
io::Json sweep_result(Control control, const io::Json& scores,
                      const std::vector<ScoreVariant>& variants);

}  // namespace alm
