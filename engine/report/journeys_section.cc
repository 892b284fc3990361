// A few journeys told touch by touch.
#include <algorithm>
#include <cmath>

#include "engine/report/fields.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"

namespace alm::report {
namespace {

constexpr size_t kMostJourneys = 8;
constexpr size_t kMostTouches = 20;

std::string ago(double hours) {
  if (hours < 1) return fixed(60 * hours, 0) + " min before";
  return hours < 72 ? fixed(hours, hours < 10 ? 1 : 0) + " h before"
                    : fixed(hours / 24, 0) + " days before";
}

std::string touch_card(const io::Json& touch) {
  std::string name = text(touch, "name");
  if (name.empty()) name = "cluster " + text(touch, "cluster");
  const std::string whole = escape(shorten(name, 200));
  std::string html =
      "<li><b title=\"" + whole + "\"><bdi>" + escape(shorten(name, 40)) + "</bdi></b>";
  const Number mediator = number(touch, "mediator");
  const Number chance = number(touch, "p");
  const Number code = number(touch, "code");
  html += "<em>";
  html += code                            ? "code " + fixed(*code, 2)
          : !mediator || *mediator == 255 ? "engagement unknown"
          : *mediator == 0                ? "not engaged"
                                          : "engaged";
  html += "</em>";
  if (chance) html += "<em>" + percent(*chance, 0) + " expected</em>";
  if (const Number hours = number(touch, "hours_before")) html += "<em>" + ago(*hours) + "</em>";
  if (const Number share = number(touch, "share")) {
    html += "<span class=\"bar\"><i style=\"width:" + fixed(100 * std::clamp(*share, 0.0, 1.0), 1) +
            "%\"></i></span><span class=\"credit\">" + percent(*share, 0) + " of credit</span>";
  }
  for (const char* key : {"ett", "do", "paper", "match", "omega"}) {
    if (const Number value = number(touch, key)) {
      html += std::string("<em>") + key + " " + fixed(*value, 4) + "</em>";
    }
  }
  return html + "</li>\n";
}

}  // namespace

std::string journeys_section(const io::Json& examples) {
  if (!examples.is_array()) return "";
  std::string html;
  size_t shown = 0;
  for (const io::Json& journey : examples) {
    if (!journey.is_object() || shown == kMostJourneys) continue;
    ++shown;
    const std::string user = text(journey, "user");
    const Number outcome = number(journey, "outcome");
    const Number predicted = number(journey, "predicted");
    html +=
        "<div class=\"journey\"><h3>" +
        (user.empty() ? "Journey " + std::to_string(shown) : "User " + escape(shorten(user, 40))) +
        " <span>row " + escape(shorten(text(journey, "row"), 24)) + "</span></h3>\n" +
        "<ol class=\"strip\">\n";
    const io::Json& touches = child(journey, "touches");
    const size_t touch_count = touches.is_array() ? touches.size() : 0;
    const size_t first = touch_count > kMostTouches ? touch_count - kMostTouches : 0;
    if (first > 0) {
      html += "<li class=\"outcome\">" +
              counted(static_cast<double>(first), "earlier touch", "earlier touches") + "</li>\n";
    }
    for (size_t at = first; at < touch_count; ++at) html += touch_card(touches[at]);
    html += "<li class=\"outcome\">";
    if (outcome && (*outcome == 0 || *outcome == 1)) {
      html +=
          *outcome == 1 ? "<span class=\"yes\">outcome: yes</span>" : "<span>outcome: no</span>";
      if (predicted) html += "<em>predicted " + percent(*predicted) + "</em>";
    } else {
      html += "outcome " + (outcome ? plain(*outcome) : "not known");
      if (predicted) html += "<em>predicted " + plain(*predicted) + "</em>";
    }
    html += "</li>\n</ol></div>\n";
  }
  if (html.empty()) return "";
  return section("journeys", "Some journeys, touch by touch",
                 "<p>Left to right in time. The bar, where there is one, is the Shapley "
                 "share of the touch in what all touches of the journey moved.</p>\n" +
                     html);
}

}  // namespace alm::report
