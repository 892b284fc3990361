// Where clusters were shown too rarely for their gains, and what a ranking touch by touch finds.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine/report/fields.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"

namespace alm::report {
namespace {

const std::pair<const char*, const char*> kGains[] = {{"front_door", "front-door gains"},
                                                      {"difference", "difference in means"},
                                                      {"ipw", "inverse propensity gains"},
                                                      {"randomised", "randomised exposures"}};

}  // namespace

std::string overlap_table(const io::Json& grouped) {
  std::vector<const io::Json*> gains;
  std::string head;
  size_t buckets = 0;
  for (const auto& [key, label] : kGains) {
    const io::Json& list = child(child(grouped, key), "buckets");
    if (!list.is_array()) continue;
    gains.push_back(&list);
    head += "<th>" + escape(label) + "</th>";
    buckets = std::max(buckets, list.size());
  }
  std::string rows;
  bool any = false;
  for (size_t at = 0; at < buckets; ++at) {
    Number low, high, least;
    std::string cells;
    for (const io::Json* list : gains) {
      const io::Json& bucket = at < list->size() ? list->at(at) : child(nullptr, "");
      const io::Json& overlap = child(bucket, "overlap");
      if (!low) {
        low = number(child(overlap, "e_low"));
        high = number(child(overlap, "e_high"));
        least = number(child(overlap, "pi_least"));
      }
      const Number share = number(child(overlap, "ess_share"));
      any |= share.has_value();
      const bool none = share && *share < 0.05;
      cells += "<td>" + (share ? percent(*share) : "–") +
               (none ? " <strong>no overlap</strong>" : "") + "</td>";
    }
    rows += "<tr><th>" + std::to_string(at + 1) + "</th><td>" +
            (low && high ? percent(*low, 2) + " to " + percent(*high, 2) : "–") + "</td><td>" +
            (least ? percent(*least, 2) : "–") + "</td>" + cells + "</tr>\n";
  }
  if (!any) return "";
  return "<h3 style=\"margin-top:36px\">Overlap by exposure bucket</h3>\n<p class=\"note\">What "
         "the weights of each gain leave of its rows, as an effective share; below 5 % a bucket is "
         "not ranked.</p>\n<div class=\"scroll\"><table><thead><tr><th>bucket</th><th>share of "
         "journeys that touch a cluster</th><th>least in a stratum</th>" +
         head + "</tr></thead><tbody>\n" + rows + "</tbody></table></div>\n";
}

std::string rate_note(const io::Json& rate) {
  const auto value = [&](const char* key) {
    const Number of = number(child(child(rate, key), "value"));
    const std::string bounds = interval_text(interval(child(child(rate, key), "ci95")), 4);
    if (!of) return std::string();
    return signed_fixed(*of, 4) + (bounds.empty() ? "" : " (" + bounds + ")");
  };
  if (value("autoc").empty()) return "";
  const std::string above = value("autoc_above_backdoor");
  return "<p>A second opinion, touch by touch: the rank-weighted average effect (AUTOC) of the "
         "predicted effects is " +
         value("autoc") + (above.empty() ? "" : ", " + above + " above that of the back-door's") +
         "; a ranking at random has 0.</p>\n";
}

}  // namespace alm::report
