// Lambda by the second stage beside Lambda by the critic, and the holes in the overlap.
#include <algorithm>

#include "engine/report/fields.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"

namespace alm::report {
namespace {

constexpr size_t kHolesShown = 50;  // estimates.json has all

std::string holes_table(const io::Json& holes) {
  if (!holes.is_array() || holes.empty()) return "";
  std::string rows;
  for (size_t at = 0; at < std::min(holes.size(), kHolesShown); ++at) {
    const io::Json& hole = holes.at(at);
    std::string name = text(hole, "name");
    if (name.empty()) name = "cluster " + text(hole, "cluster");
    const Number share = number(hole, "share");
    rows += "<tr><th><bdi>" + escape(shorten(name, 48)) + "</bdi></th><td>" +
            (share ? percent(*share) : "–") + "</td></tr>\n";
  }
  const double all = static_cast<double>(holes.size());
  return "<details><summary>" + counted(all, "cluster", "clusters") +
         " hardly ever shown to some kinds of users</summary>\n<p class=\"note\">Share of the "
         "journeys at whose context the critic gives a cluster less than a tenth of its average "
         "share.</p>\n<div class=\"scroll\"><table><thead><tr><th>cluster</th><th>journeys in the "
         "hole</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div></details>\n";
}

}  // namespace

std::string lambda_section(const io::Json& estimates) {
  const io::Json& identification = child(estimates, "identification");
  const io::Json& lambda = child(identification, "lambda");
  if (!lambda.is_object()) return "";
  constexpr TileSpec kTiles[] = {
      {"second_stage", "By the second stage", "mean; what the effects use", 4},
      {"critic", "By the critic's weights", "mean; the check", 4},
      {"disagreement", "Disagreement", "root mean square; a warning above 0.03", 4},
      {"uniform", "Ignoring the context", "mean; every journey alike", 4},
      {"captured_mass", "Captured mass", "of the weights in use; 1 is all", 3},
      {"mass_top64", "Mass of the 64 largest", "what hard top-64 weights would keep", 3},
      {"ess", "Effective sample", "journeys of a group, mean", 1},
      {"ess_least", "Least effective sample", "of any context", 1},
  };
  const std::string weights = text(lambda, "weights");
  return section(
      "lambda", "The factor of do, twice",
      "<p>Lambda is how likely no outcome is without any touch, at a user's context. The "
      "second stage learns it by regression; the critic averages over other users' "
      "journeys, weighted as if they had been shown to that user. Where the two differ, "
      "every do effect is in doubt by the same share." +
          std::string(weights.empty() || weights == "all" ? ""
                                                          : " Weights: " + escape(weights) + ".") +
          "</p>\n<dl class=\"tiles\">\n" + tiles(lambda, kTiles) + "</dl>\n" +
          holes_table(child(child(identification, "overlap"), "holes")));
}

}  // namespace alm::report
