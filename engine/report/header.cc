// What a reader should know after ten seconds, and what was run.
#include <algorithm>
#include <cmath>

#include "engine/report/fields.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"
#include "kernels/base/text.h"

namespace alm::report {
namespace {

constexpr size_t kMostReasons = 4;

// An effect in words: binary outcomes per 100 touches, values in their own unit.
std::string in_words(const Effects& effects, double value, bool sign = true) {
  const double shown = effects.binary ? 100 * value : value;
  const int decimals = std::min(decimals_for(std::fabs(shown)), effects.binary ? 2 : 3);
  return sign ? signed_fixed(shown, decimals) : fixed(shown, decimals);
}

std::string per_what(const Effects& effects) {
  if (effects.arm_log) return effects.binary ? "outcomes per 100 journeys" : "per journey";
  return effects.binary ? "outcomes per 100 touches" : "per touch";
}

// Whether the interval, where there is one, leaves zero out.
bool is_clear(const Estimate& estimate) {
  return !estimate.ci95 || estimate.ci95->first > 0 || estimate.ci95->second < 0;
}

std::string quoted(const std::string& name) {
  return "“" + shorten(name, 60) + "”";
}

std::string bold_name(const std::string& name) {
  return "<b><bdi>" + escape(shorten(name, 60)) + "</bdi></b>";
}

// The place of row `of` among the ranked rows by another value, from 1; 0 where it has none.
size_t place_by(const Effects& effects, size_t of, Number Effect::*value) {
  const Number mine = effects.rows[of].*value;
  if (!mine) return 0;
  size_t place = 1;
  for (const size_t other : effects.ranked) {
    if (effects.rows[other].*value && *(effects.rows[other].*value) > *mine) ++place;
  }
  return place;
}

// The row that the other method puts first.
size_t first_by(const Effects& effects, Number Effect::*value) {
  size_t best = effects.ranked.front();
  for (const size_t row : effects.ranked) {
    const Number candidate = effects.rows[row].*value;
    if (candidate && (!(effects.rows[best].*value) || *candidate > *(effects.rows[best].*value))) {
      best = row;
    }
  }
  return best;
}

std::string compared(const Effects& effects, Number Effect::*value, const std::string& method) {
  const size_t ours = effects.ranked.front();
  const Number theirs_of_ours = effects.rows[ours].*value;
  if (!theirs_of_ours) return "";
  const Estimate& main = estimate_of(effects.rows[ours], effects.main);
  if (effects.ranked.size() == 1) {
    return method + " answers " + in_words(effects, *theirs_of_ours) + " instead of " +
           in_words(effects, *main.best()) + ". ";
  }
  const size_t theirs = first_by(effects, value);
  if (theirs == ours) {
    return method + " puts the same cluster first, at " + in_words(effects, *theirs_of_ours) +
           " instead of " + in_words(effects, *main.best()) + ". ";
  }
  const auto rank = std::find(effects.ranked.begin(), effects.ranked.end(), theirs);
  return method + " would have put " + bold_name(effects.rows[theirs].name) + " first, which is " +
         ordinal(rank - effects.ranked.begin() + 1) + " of " +
         count(static_cast<double>(effects.ranked.size())) + " here, and " +
         bold_name(effects.rows[ours].name) + " only " +
         ordinal(static_cast<int64_t>(place_by(effects, ours, value))) + ". ";
}

// How the other method's ranking and sizes relate to ours.
std::string agreement(const Effects& effects, Number Effect::*value) {
  std::vector<std::pair<double, double>> pairs;
  for (const size_t row : effects.ranked) {
    if (effects.rows[row].*value) {
      pairs.emplace_back(*estimate_of(effects.rows[row], effects.main).best(),
                         *(effects.rows[row].*value));
    }
  }
  const Number rank = spearman(pairs);
  return pairs.size() >= 5 && rank ? fixed(*rank, 2) : "";
}

// How many intervals lie above zero, below it and across it.
std::string certainty(const Effects& effects) {
  double above = 0, below = 0, all = 0;
  for (const size_t row : effects.ranked) {
    const Interval& ci = estimate_of(effects.rows[row], effects.main).ci95;
    if (!ci) continue;
    ++all;
    above += ci->first > 0;
    below += ci->second < 0;
  }
  if (all < 2) return "";
  const std::string what = effects.arm_log ? "arms" : "clusters";
  return "Of " + count(all) + " " + what + " with an interval, " + count(above) +
         " lie wholly above zero, " + count(below) + " below, and " + count(all - above - below) +
         " cannot be told from zero. ";
}

// How many others the first of the ranking cannot be told apart from by their intervals.
std::string rivals(const Effects& effects) {
  const Effect& top = effects.rows[effects.ranked.front()];
  const Interval& first = estimate_of(top, effects.main).ci95;
  if (!first) return "";
  double overlapping = 0;
  for (size_t at = 1; at < effects.ranked.size(); ++at) {
    const Interval& other = estimate_of(effects.rows[effects.ranked[at]], effects.main).ci95;
    overlapping += other && other->second >= first->first && other->first <= first->second;
  }
  if (overlapping == 0) return "";
  return (overlapping == 1 ? "The interval of 1 other overlaps"
                           : "The intervals of " + count(overlapping) + " others overlap") +
         " that of " + bold_name(top.name) + ": which is largest is not settled. ";
}

std::string summary(const io::Json& estimates, const Effects& effects) {
  if (effects.ranked.empty()) return "";
  const Effect& top = effects.rows[effects.ranked.front()];
  const Estimate& estimate = estimate_of(top, effects.main);
  std::string lead;
  if (effects.arm_log) {
    lead = "Giving " + bold_name(top.name) + " instead of the reference arm ";
    lead += effects.main == Estimand::do_effect ? "to everybody " : "to those who got it ";
  } else {
    lead = "Taking away a touch of " + bold_name(top.name) + " and leaving all else as it was ";
  }
  const double value = *estimate.best();
  const bool opposite = effects.arm_log;
  lead += (value >= 0) == opposite ? "raises" : "lowers";
  lead += effects.arm_log ? " the mean outcome by " : " the outcome by ";
  lead += in_words(effects, std::fabs(value), false) + " " + per_what(effects);
  if (estimate.ci95) {
    const double scale = effects.binary ? 100 : 1;
    const int decimals = std::min(decimals_for(scale * std::fabs(value)), effects.binary ? 2 : 3);
    lead += " (95&#160;% interval " +
            bounds_fixed(scale * estimate.ci95->first, scale * estimate.ci95->second, decimals) +
            (is_clear(estimate) ? ")" : ", which includes zero)");
  }
  lead += estimate.one_step ? ". " : ", a plug-in value without an interval. ";
  // The largest effect a touch is not the largest contribution: volume counts too.
  size_t most = effects.ranked.front();
  const auto volume = [&](size_t row) {
    return effects.rows[row].touches.value_or(0) *
           *estimate_of(effects.rows[row], effects.main).best();
  };
  for (const size_t row : effects.ranked) {
    if (volume(row) > volume(most)) most = row;
  }
  const bool known = is_clear(estimate_of(effects.rows[most], effects.main));
  if (!effects.arm_log && effects.binary && volume(most) > 0 && known) {
    lead += most == effects.ranked.front()
                ? "It also moved most in all: about "
                : bold_name(effects.rows[most].name) + " moved most in all: about ";
    lead += counted(std::round(volume(most)), "outcome", "outcomes") + " over " +
            counted(*effects.rows[most].touches, "scored touch", "scored touches") + ". ";
  }
  std::string contrast = compared(effects, &Effect::naive, "The naive comparison") +
                         compared(effects, &Effect::backdoor, "Back-door adjustment");
  const std::string naive = agreement(effects, &Effect::naive);
  const std::string backdoor = agreement(effects, &Effect::backdoor);
  if (!naive.empty() && !backdoor.empty()) {
    contrast +=
        "Over all clusters the front-door ranking agrees with the naive one at a rank "
        "correlation of " +
        naive + " and with the back-door one at " + backdoor + ". ";
  }
  std::string html = "<p>" + lead + rivals(effects) + certainty(effects) + "</p>\n";
  if (!contrast.empty()) html += "<p>" + contrast + "</p>\n";
  const io::Json& truth = child(estimates, "truth");
  const Number rank = number(truth, "cluster_spearman");
  const Number ours = number(truth, "oracle_auuc_05");
  const Number theirs = number(truth, "backdoor_auuc_05");
  if (rank) {
    html +=
        "<p>This log is synthetic, so the truth is known: the estimated ranking agrees with it "
        "at " +
        fixed(*rank, 3);
    if (ours && theirs) {
      html +=
          ", and ranking by it collects " + fixed(*ours, 3) +
          " on a scale where chance is 0.5 and the truth is 1 (back-door: " + fixed(*theirs, 3) +
          ")";
    }
    html += ".</p>\n";
  }
  return html;
}

// Which clusters the headline and the ranking leave out, and why.
std::string left_out(const Effects& effects) {
  std::string html;
  const std::string all =
      counted(static_cast<double>(effects.rows.size()), effects.arm_log ? "arm" : "cluster",
              effects.arm_log ? "arms" : "clusters");
  for (size_t at = 0; at < effects.left_out.size() && at < kMostReasons; ++at) {
    const auto& [reason, times] = effects.left_out[at];
    html += "<p>Left out of the ranking: " + count(times) + " of " + all + " (" +
            prose(shorten(reason, 300)) + ").</p>\n";
  }
  return html;
}

std::string fact(const std::string& label, const std::string& value) {
  if (value.empty()) return "";
  return "<div><dt>" + escape(label) + "</dt><dd>" + escape(shorten(value, 160)) + "</dd></div>\n";
}

// "2030-01-02T03:04:05Z" and "2030-01-02 03:04:05 UTC" as "2030-01-02 03:04 UTC"; anything else as
// it is.
std::string date_text(const std::string& date) {
  const std::string zone = date.size() < 20 ? "" : date.substr(19);
  if ((zone != "Z" && zone != " UTC") || (date[10] != 'T' && date[10] != ' ')) return date;
  return date.substr(0, 10) + " " + date.substr(11, 5) + " UTC";
}

// Hosts are listed once a rank.
std::string distinct(const io::Json& list) {
  std::vector<std::string> names;
  if (!list.is_array()) return text(list);
  for (const io::Json& item : list) {
    const std::string name = text(item);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return join(names, ", ");
}

std::string whole(const io::Json& object, const std::string& path) {
  const Number value = number(object, path);
  return value ? count(*value) : "";
}

std::string first_text(const io::Json& object, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    const std::string found = text(object, path);
    if (!found.empty()) return found;
  }
  return "";
}

}  // namespace

std::string headline(const Effects& effects) {
  if (effects.scores) return "Scores of proxy mode: nothing here is an effect";
  if (effects.ranked.empty()) {
    if (effects.has(effects.main)) return "No effect here has enough data behind it";
    return effects.rows.empty() && effects.why.empty() ? "This run has no effects to report"
                                                       : "No front-door value can be given";
  }
  const Effect& top = effects.rows[effects.ranked.front()];
  const Estimate& estimate = estimate_of(top, effects.main);
  bool any_clear = false;
  bool any_interval = false;
  for (const size_t row : effects.ranked) {
    const Interval& ci = estimate_of(effects.rows[row], effects.main).ci95;
    any_interval |= ci.has_value();
    any_clear |= ci && is_clear(estimate_of(effects.rows[row], effects.main));
  }
  if (any_interval && !any_clear) return "No effect here can be told from zero";
  if (!(*estimate.best() > 0)) return "Nothing here raised the outcome";
  const std::string size = in_words(effects, *estimate.best()) + " " + per_what(effects);
  if (effects.arm_log) {
    return quoted(top.name) + " raised the outcome: " + size + " against the reference arm";
  }
  return quoted(top.name) + " drove the outcome most: " + size;
}

std::string header_section(const io::Json& config, const io::Json& estimates,
                           const Effects& effects) {
  std::string html = "<header>\n<p class=\"kicker\">What drove the outcome</p>\n<h1>" +
                     escape(headline(effects)) + "</h1>\n<div class=\"deck\">\n";
  if (effects.ranked.empty() && !effects.why.empty()) {
    html += "<p>" + escape(effects.why) + "</p>\n";
  }
  html += summary(estimates, effects) + left_out(effects) + "</div>\n<dl class=\"facts\">\n";
  const std::string mediator = first_text(estimates, {"mediator_mode"});
  html += fact("Log", option(config, "log"));
  html += fact("Journeys in the log", whole(config, "log.rows"));
  html += fact("Journeys scored", whole(estimates, "samples"));
  html += fact("Users scored", whole(estimates, "users"));
  html += fact("Scored", text(estimates, "scored"));
  html += fact("Model", option(config, "model") +
                            (option(config, "nuisance") == "tabular" ? ", tabular nuisances" : ""));
  html += fact("Mediator", mediator.empty() ? option(config, "mediator") : mediator);
  if (!effects.arm_log && !effects.scores) {
    html += fact("Outcome head", text(estimates, "outcome_head"));
  }
  html += fact("Seed", option(config, "seed"));
  html += fact("Device", text(estimates, "device"));
  html += fact("Ranks", whole(estimates, "world_size"));
  html += fact("Hosts", distinct(child(config, "hosts")));
  html += fact("Date", date_text(first_text(config, {"started", "date", "time"})));
  html += fact("Log hash", shorten(first_text(config, {"log.manifest_hash", "manifest_hash"}), 13));
  html += "</dl>\n";
  const std::string note = text(estimates, "estimand_note");
  if (!note.empty())
    html += "<p class=\"note\" style=\"margin-top:18px\">" + prose(note) + "</p>\n";
  return html + "</header>\n";
}

}  // namespace alm::report
