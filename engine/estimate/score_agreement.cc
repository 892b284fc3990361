#include "engine/estimate/score_agreement.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/estimate/thin_data.h"
#include "engine/estimate/truth.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

double score_of_cluster(const io::Json& score) {
  const io::Json& by = score.at("do").is_object() ? score.at("do").at("plugin") : score.at("paper");
  return by.is_number() ? by.get<double>() : NAN;
}

bool within(double ratio, double bound) {
  return ratio >= 1 / bound && ratio <= bound;
}

std::string sentence(Control control, Verdict verdict, const ScoreVariant& worst,
                     const ScoreAgreement& of) {
  const bool dropped = control == Control::dropped_proxy;
  const std::string found =
      format("Spearman %.2f with those of this run, mean %.2f times theirs", of.spearman, of.ratio);
  const std::string changed =
      dropped ? "without proxy " + worst.changed : "at an adversary weight of " + worst.changed;
  if (verdict == Verdict::pass) {
    return (dropped ? "The scores do not hang on any one proxy: the least alike, "
                    : "The scores do not hang on the weight of the adversary: the least alike, ") +
           changed + ", have " + found;
  }
  return (verdict == Verdict::warn ? "The scores change somewhat " : "The scores are others ") +
         changed + ": " + found +
         (verdict == Verdict::fail ? "; do not rank by them" : "; rank by them with care");
}

}  // namespace

ScoreAgreement score_agreement(const io::Json& scores, const io::Json& others) {
  std::map<int64_t, double> of_other;
  for (const io::Json& score : others) {
    of_other[score.at("cluster").get<int64_t>()] = score_of_cluster(score);
  }
  std::vector<double> mine, theirs;
  double sum = 0, sum_other = 0;
  for (const io::Json& score : scores) {
    const int64_t touches = score.at("touches").get<int64_t>();
    const auto found = of_other.find(score.at("cluster").get<int64_t>());
    if (touches < kLeastTouches || found == of_other.end()) continue;
    const double value = score_of_cluster(score);
    if (!std::isfinite(value) || !std::isfinite(found->second)) continue;
    mine.push_back(value);
    theirs.push_back(found->second);
    sum += static_cast<double>(touches) * value;
    sum_other += static_cast<double>(touches) * found->second;
  }
  return {static_cast<int64_t>(mine.size()), spearman(mine, theirs), sum_other / sum};
}

Verdict verdict_of(const ScoreAgreement& of) {
  if (of.spearman >= 0.9 && within(of.ratio, 1.25)) return Verdict::pass;
  if (of.spearman >= 0.7 && within(of.ratio, 2)) return Verdict::warn;
  return Verdict::fail;
}

io::Json sweep_result(Control control, const io::Json& scores,
                      const std::vector<ScoreVariant>& variants) {
  io::Json fits = io::Json::array();
  size_t worst = 0;
  ScoreAgreement least;
  for (size_t at = 0; at < variants.size(); ++at) {
    const ScoreAgreement of = score_agreement(scores, variants[at].scores);
    fits.push_back({{"changed", variants[at].changed},
                    {"spearman", io::number(of.spearman)},
                    {"ratio", io::number(of.ratio)}});
    const bool worse = verdict_of(of) > verdict_of(least) ||
                       (verdict_of(of) == verdict_of(least) && !(of.spearman >= least.spearman));
    if (at == 0 || worse) {
      worst = at;
      least = of;
    }
  }
  const Verdict verdict = verdict_of(least);
  return {{"control", control_name(control)},
          {"verdict", verdict_name(verdict)},
          {"sentence", sentence(control, verdict, variants[worst], least)},
          {"clusters", least.clusters},
          {"fits", fits}};
}

}  // namespace alm
