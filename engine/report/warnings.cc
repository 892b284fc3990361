// Everything that should make a reader doubt a number, as sentences (contract 4.3: nothing hidden).
#include <algorithm>

#include "engine/report/fields.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"

namespace alm::report {
namespace {

constexpr double kWarnVariance = 0.05;  // contract 3, identification
constexpr double kRefuseVariance = 0.01;
constexpr double kWarnClipped = 0.05;
constexpr double kWarnEss = 0.05;  // method 6.3.8: no overlap

std::string warning(const std::string& what, const std::string& sentence) {
  return "<li><b>" + escape(what) + "</b> " + prose(sentence) + "</li>\n";
}

std::string all_texts(const io::Json& list, const std::string& what) {
  std::string html;
  if (list.is_string()) return warning(what, text(list));
  if (!list.is_array()) return html;
  for (const io::Json& item : list) {
    const std::string sentence = item.is_object() ? text(item, "message") : text(item);
    if (!sentence.empty()) html += warning(what, shorten(sentence, 600));
  }
  return html;
}

std::string clusters_text(double affected, size_t all, bool arm_log) {
  return count(affected) + " of " + count(static_cast<double>(all)) +
         (arm_log ? " arms" : " clusters");
}

}  // namespace

std::string warnings_section(const io::Json& config, const io::Json& estimates,
                             const Effects& effects) {
  std::string html;
  const std::string holdout = option(config, "holdout");
  if (child(estimates, "in_sample") == true ||
      (!holdout.empty() && holdout.find_first_not_of("0.") == holdout.npos)) {
    html +=
        warning("In-sample.",
                "Nobody was held out: the same users were used to fit the model and to score it. "
                "Prediction metrics are flattered and intervals do not count the fit.");
  }
  const io::Json& identification = child(estimates, "identification");
  const std::string given = all_texts(child(identification, "warnings"), "Identification.");
  html += given;
  const Number share = number(identification, "mediator_variance_share");
  if (share && given.empty()) {
    if (*share < kRefuseVariance) {
      html +=
          warning("The mediator has no variation of its own.",
                  "Only " + percent(*share, 2) +
                      " of its variance is left once touches and context are known (below 1 % no "
                      "front-door value is given): nothing separates its effect from that of the "
                      "exposure.");
    } else if (*share < kWarnVariance) {
      html += warning("The mediator hardly varies by itself.",
                      "Only " + percent(*share, 2) +
                          " of its variance is left once touches and context are known (below 5 % "
                          "front-door values rest on little).");
    }
  }
  double clipped = 0, thin = 0;
  for (const Effect& effect : effects.rows) {
    const Estimate& estimate = estimate_of(effect, effects.main);
    clipped += estimate.clipped_share.value_or(0) > kWarnClipped;
    const double base =
        effects.arm_log ? number(estimates, "samples").value_or(0) : effect.touches.value_or(0);
    thin += estimate.ess && base > 0 && *estimate.ess < kWarnEss * base;
  }
  if (clipped > 0) {
    html += warning("Weights were clipped.",
                    "In " + clusters_text(clipped, effects.rows.size(), effects.arm_log) +
                        " more than 5 % of the weights met their bound; their one-step values lean "
                        "towards the model.");
  }
  // The coordinator counts thin clusters itself where it can, and says so among its warnings.
  if (thin > 0 && !number(identification, "overlap.clusters_with_ess_below_5_percent")) {
    html +=
        warning("Little overlap.",
                "In " + clusters_text(thin, effects.rows.size(), effects.arm_log) +
                    " the weights leave less than 5 % of the rows as effective sample: do not rank "
                    "on these.");
  }
  html += all_texts(child(identification, "overlap"), "Overlap.");
  html += all_texts(child(child(identification, "overlap"), "warnings"), "Overlap.");
  if (const Number leak = number(identification, "leak_test.p_value"); leak && *leak < 0.01) {
    html += warning("A proxy may know the outcome.",
                    "The leak test rejects independence (p = " + plain(*leak) +
                        "): values that use this proxy are likely too large.");
  }
  if (text(estimates, "mediator_mode") == "proxy" && given.empty()) {
    html +=
        warning("Proxy mode: scores, not effects.",
                "The mediator was learned from a proxy; what is ranked here has no causal reading "
                "and no interval.");
  }
  if (const Number bad = number(config, "log.bad_rows"); bad && *bad > 0) {
    html += warning("Rows were skipped.",
                    counted(*bad, "bad row was", "bad rows were") + " left out of the log.");
  }
  if (const Number cut = number(config, "log.truncated_rows"); cut && *cut > 0) {
    html += warning("Long journeys were cut.",
                    counted(*cut, "journey keeps", "journeys keep") + " only the latest touches.");
  }
  html += all_texts(child(child(config, "log"), "warnings"), "The log.");
  html += all_texts(child(estimates, "warnings"), "Note.");
  return html.empty() ? "" : "<ul class=\"warnings\">\n" + html + "</ul>\n";
}

}  // namespace alm::report
