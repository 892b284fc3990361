#include "engine/report/report.h"

#include "engine/report/html.h"
#include "engine/report/sections.h"

namespace alm {

std::string make_report(const io::Json& config, const io::Json& estimates,
                        const std::vector<io::Json>& metrics, const io::Json& examples) {
  using namespace report;
  const Effects effects = read_effects(config, estimates);
  std::string html = header_section(config, estimates, effects);
  html += warnings_section(config, estimates, effects);
  if (effects.scores) {
    html += scores_section(estimates);
  } else {
    html += effects_section(effects);
    html += lambda_section(estimates);
    html += truth_section(estimates, effects);
  }
  html += controls_section(estimates) + sensitivity_section(estimates);
  html += uplift_section(estimates);
  html += policy_section(estimates);
  html += journeys_section(examples);
  html += prediction_section(estimates);
  html += training_section(metrics);
  html += footer_section(config, estimates);
  return page(headline(effects), html);
}

}  // namespace alm
