#include <algorithm>
#include <cmath>
#include <map>

#include "engine/report/fields.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"

namespace alm::report {
namespace {

constexpr int64_t kConfigLength = 60000;

// What the numbers under "overlap" are.
std::string overlap_note(const std::string& key) {
  static const std::map<std::string, std::string> notes = {
      {"clipped_share", "share of the weights cut at their bound"},
      {"clusters_clipped_above_5_percent", "clusters with over 5 % of their weights cut"},
      {"clusters_with_ess_below_5_percent",
       "clusters whose weights leave below 5 % of their touches"},
      {"touches_without_observed_mediator", "scored, but behind no interval"},
      {"removal_mean_ratio", "mean weight of removal; 1 where the law of the mediators is right"},
      {"removal_odds_ratio",
       "journeys expected to touch a cluster, over those that do; 1 where the odds are right"}};
  const auto found = notes.find(key);
  return found == notes.end() ? "" : found->second;
}

std::string identification_tiles(const io::Json& identification) {
  if (!identification.is_object()) return "";
  std::string html;
  if (identification.contains("mediator_variance_share")) {
    const Number share = number(identification, "mediator_variance_share");
    html +=
        tile("Mediator's own variation",
             share ? percent(*share) : not_given(why(identification, "mediator_variance_share")),
             "share of its variance left given touches and context");
  }
  for (const auto& [key, label] :
       {std::pair("leak_test", "Leak test"), std::pair("negative_controls", "Negative controls"),
        std::pair("overlap", "Overlap")}) {
    const io::Json& value = child(identification, key);
    if (!identification.contains(key)) continue;
    if (value.is_null()) {
      html += tile(label, not_given(why(identification, key)));
    } else if (const Number single = number(value)) {
      html += tile(label, plain(*single));
    } else if (value.is_object()) {
      for (const auto& [name, inner] : value.items()) {
        if (const Number part = number(inner)) {
          std::string words = shorten(name, 60);
          std::replace(words.begin(), words.end(), '_', ' ');
          html +=
              tile(std::string(label) + ": " + words,
                   *part == std::floor(*part) ? count(*part) : plain(*part), overlap_note(name));
        }
      }
    }
  }
  return html.empty() ? "" : "<dl class=\"tiles\">\n" + html + "</dl>\n";
}

// Where nobody looked for clusters that some users are hardly ever shown. Sequence logs.
std::string holes_note(const io::Json& identification) {
  const io::Json& overlap = child(identification, "overlap");
  const std::string reason = why(overlap, "holes");
  if (!child(overlap, "holes").is_null() || reason.empty()) return "";
  return "<p>" + prose("Clusters that are hardly ever shown to some kinds of users: " + reason) +
         ".</p>\n";
}

// What the outcome head assumes, and how to check it. Sequence logs with an observed mediator.
std::string head_note(const io::Json& estimates) {
  const std::string head = text(estimates, "outcome_head");
  if (text(estimates, "log_kind") != "sequence" || text(estimates, "mediator_mode") == "proxy") {
    return "";
  }
  const std::string compare =
      " on the same log and compare how well outcomes are predicted, and the plug-in values of "
      "ett. "
      "About equal, nothing speaks against the separable head, which also gives do and removal. "
      "Where the general head predicts better, touches or mediators change what others do: read "
      "its values for single touches. One-step means over a cluster should agree either way.";
  std::string note;
  if (head == "general") {
    note =
        "These values are by the general head, which lets mediators, touches and context act "
        "together in any way. Train once more with --outcome-head separable" +
        compare;
  } else if (head == "separable") {
    note =
        "These values are by the separable head: what a touch does through its mediator does not "
        "depend on the other touches. To check that, train once more with --outcome-head general" +
        compare;
  }
  return note.empty() ? "" : "<p>" + prose(note) + "</p>\n";
}

}  // namespace

std::string footer_section(const io::Json& config, const io::Json& estimates) {
  std::string html;
  const io::Json& identification = child(estimates, "identification");
  const std::string checks =
      identification_tiles(identification) + holes_note(identification) + head_note(estimates);
  if (!checks.empty()) {
    html += section(
        "identification", "What the effects rest on",
        "<p>Front-door values hold if touches move the outcome only through the mediator, if "
        "nothing unseen moves both mediator and outcome once touches and context are known, "
        "and if the mediator varies by itself. The first two cannot be read off the log.</p>\n" +
            checks);
  }
  html += section(
      "words", "What the words mean",
      "<dl class=\"words\">\n"
      "<dt>naive</dt><dd>Mean outcome of journeys that touch the cluster minus those "
      "that do not (arms: "
      "minus the reference arm). Repeats every confounding of the log.</dd>\n"
      "<dt>back-door</dt><dd>Effect of removal (arms: of replacement) in a regression "
      "of the outcome on "
      "touch counts and context. Right only if nothing unseen moves both exposure and "
      "outcome.</dd>\n"
      "<dt>ett</dt><dd>Effect on the treated: for those who really had the touch, "
      "their outcome minus "
      "what it would have been without it.</dd>\n"
      "<dt>do</dt><dd>Effect of assigning the exposure from outside to users of this "
      "context. Never mix "
      "it with ett.</dd>\n"
      "<dt>removal</dt><dd>What a user who was shown the cluster would lose if all its "
      "touches were taken away, per user and not per touch.</dd>\n"
      "<dt>plug-in, one-step</dt><dd>The plug-in reads the fitted model; the one-step "
      "value corrects it "
      "with the outcomes of the scored users and has an honest interval.</dd>\n"
      "<dt>credit</dt><dd>The Shapley value: what all touches of a journey add together, shared "
      "out among them.</dd>\n"
      "<dt>clipped, ess</dt><dd>Share of weights cut at their bound, and the effective "
      "number of rows "
      "they leave.</dd>\n</dl>\n");
  if (config.is_object()) {
    const std::string resolved = io::json_text(config, 1);
    std::string lines;  // escape() turns line ends into spaces: keep them
    for (size_t from = 0; from < resolved.size();) {
      size_t to = resolved.find('\n', from);
      if (to == resolved.npos) to = resolved.size();
      lines += escape(shorten(resolved.substr(from, to - from), 400)) + "\n";
      from = to + 1;
      if (static_cast<int64_t>(lines.size()) > kConfigLength) {
        lines += "…\n";
        break;
      }
    }
    html +=
        "<details><summary>Resolved configuration</summary>\n<pre>" + lines + "</pre></details>\n";
  }
  return html;
}

}  // namespace alm::report
