#include "engine/report/fields.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"

namespace alm::report {

std::string page(const std::string& title, const std::string& body) {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
         "<meta http-equiv=\"Content-Security-Policy\" "
         "content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n<title>" +
         escape(title) + "</title>\n<style>" + page_style() +
         "</style>\n</head>\n<body>\n<main>\n" + body + "</main>\n</body>\n</html>\n";
}

std::string section(const std::string& id, const std::string& title, const std::string& body) {
  if (body.empty()) return "";
  return "<section id=\"" + id + "\">\n<h2>" + escape(title) + "</h2>\n" + body + "</section>\n";
}

std::string figure(const std::string& content, const std::string& caption) {
  if (content.empty()) return "";
  return "<figure>" + content +
         (caption.empty() ? "" : "<figcaption>" + escape(caption) + "</figcaption>") +
         "</figure>\n";
}

std::string tile(const std::string& label, const std::string& value, const std::string& note) {
  return "<div><dt>" + escape(label) + "</dt><dd>" + value +
         (note.empty() ? "" : "<small>" + escape(note) + "</small>") + "</dd></div>\n";
}

std::string value_or_why(const io::Json& object, const std::string& key, int decimals) {
  const Number value = number(object, key);
  return value ? fixed(*value, decimals) : not_given(why(object, key));
}

std::string tiles(const io::Json& object, std::span<const TileSpec> specs) {
  std::string html;
  for (const TileSpec& spec : specs) {
    if (!object.is_object() || !object.contains(spec.key)) continue;
    const int decimals =
        spec.decimals < 0 ? decimals_for(number(object, spec.key).value_or(1)) : spec.decimals;
    html += tile(spec.label, value_or_why(object, spec.key, decimals), spec.note);
  }
  return html;
}

std::string interval_text(const Interval& bounds, int decimals) {
  if (!bounds) return "";
  return bounds_fixed(bounds->first, bounds->second, decimals);
}

}  // namespace alm::report
