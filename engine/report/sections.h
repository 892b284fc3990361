// The parts of the page, from top to bottom. Each returns safe HTML, or "" when it has nothing to
// say.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/report/effects.h"
#include "io/json.h"

namespace alm::report {

// The style sheet.
const char* page_style();

// Headline, summary in sentences, and what was run.
std::string header_section(const io::Json& config, const io::Json& estimates,
                           const Effects& effects);
// The title of the page, plain text.
std::string headline(const Effects& effects);
// Where not to believe the numbers, in sentences.
std::string warnings_section(const io::Json& config, const io::Json& estimates,
                             const Effects& effects);
// Forest plot and the full tables, one estimand each.
std::string effects_section(const Effects& effects);
// Scores and the code of proxy mode.
std::string scores_section(const io::Json& estimates);
// `negative_controls` of `identification`.
std::string controls_section(const io::Json& estimates);
// `sensitivity` of `identification`.
std::string sensitivity_section(const io::Json& estimates);
std::string truth_section(const io::Json& estimates, const Effects& effects);
// Lambda by the second stage and by the critic, holes in the overlap.
std::string lambda_section(const io::Json& estimates);
std::string uplift_section(const io::Json& estimates);
std::string policy_section(const io::Json& estimates);
// Parts of the uplift section, of `grouped_auuc` and of its `rate`.
std::string overlap_table(const io::Json& grouped);
std::string rate_note(const io::Json& rate);
std::string journeys_section(const io::Json& examples);
std::string prediction_section(const io::Json& estimates);
std::string training_section(const std::vector<io::Json>& metrics);
// What the words mean, and the resolved configuration.
std::string footer_section(const io::Json& config, const io::Json& estimates);

// Building blocks shared by the parts.
// A whole document, self-contained and without scripts. `title` is plain text, `body` safe HTML.
std::string page(const std::string& title, const std::string& body);
std::string section(const std::string& id, const std::string& title, const std::string& body);
std::string figure(const std::string& content, const std::string& caption);
// One labelled number; `value` is safe HTML.
std::string tile(const std::string& label, const std::string& value, const std::string& note = "");
// How one number of an object is shown. decimals -1: as many as its size asks for.
struct TileSpec {
  const char* key;
  const char* label;
  const char* note;
  int decimals;
};
// One tile for every spec whose key the object has.
std::string tiles(const io::Json& object, std::span<const TileSpec> specs);
// A number of `object` as HTML, "not given: why" when it is null.
std::string value_or_why(const io::Json& object, const std::string& key, int decimals);
// "[lo to hi]", or "".
std::string interval_text(const Interval& bounds, int decimals);

}  // namespace alm::report
