// Negative controls: what the same estimates find where there is nothing to find.
#include <algorithm>

#include "engine/report/fields.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"

namespace alm::report {
namespace {

// Verdicts of estimates.json, and any other word as no verdict.
std::string verdict_of(const io::Json& made) {
  const std::string verdict = text(made, "verdict");
  return verdict == "pass" || verdict == "warn" || verdict == "fail" ? verdict : "";
}

// What each fit of a sweep gave.
std::string fits_text(const io::Json& fits) {
  std::string parts;
  if (!fits.is_array()) return parts;
  for (const io::Json& fit : fits) {
    const Number rank = number(fit, "spearman");
    const Number ratio = number(fit, "ratio");
    parts += (parts.empty() ? "" : "; ") + escape(shorten(text(fit, "changed"), 40)) +
             ": Spearman " + (rank ? fixed(*rank, 2) : "–") + ", mean times " +
             (ratio ? fixed(*ratio, 2) : "–");
  }
  return parts.empty() ? "" : " <span class=\"soft\">" + parts + "</span>";
}

}  // namespace

std::string controls_section(const io::Json& estimates) {
  const io::Json& controls = child(child(estimates, "identification"), "negative_controls");
  if (!controls.is_array() || controls.empty()) return "";
  std::string rows;
  for (const io::Json& made : controls) {
    std::string name = shorten(text(made, "control"), 60);
    std::replace(name.begin(), name.end(), '_', ' ');
    const std::string verdict = verdict_of(made);
    rows += "<tr><th>" + escape(name) + "</th><td class=\"verdict " +
            (verdict.empty() ? "none\">not given" : verdict + "\">" + verdict) +
            "</td><td class=\"sentence\">" +
            (verdict.empty() ? escape(shorten(why(made, "verdict"), 300))
                             : escape(shorten(text(made, "sentence"), 400)) + "." +
                                   fits_text(child(made, "fits"))) +
            "</td></tr>\n";
  }
  return section("controls", "Negative controls",
                 "<p>The same estimates where there is nothing to find. A control that passes "
                 "proves little; one that fails says not to believe the rest.</p>\n"
                 "<div class=\"scroll\"><table><tbody>\n" +
                     rows + "</tbody></table></div>\n");
}

}  // namespace alm::report
