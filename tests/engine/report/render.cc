#include "tests/engine/report/render.h"

#include <cctype>

namespace alm {
namespace {

bool good_entity(const std::string& text, size_t at) {
  const size_t end = text.find(';', at);
  if (end == text.npos || end - at > 9) return false;
  const std::string name = text.substr(at + 1, end - at - 1);
  if (name == "amp" || name == "lt" || name == "gt") return true;
  if (name.size() < 2 || name[0] != '#') return false;
  return name.find_first_not_of("0123456789", 1) == name.npos;
}

}  // namespace

std::string markup_fault(const std::string& page) {
  std::vector<std::string> open;
  size_t at = page.find('>') + 1;  // after the doctype
  while (at < page.size()) {
    const char here = page[at];
    if (here == '&' && !good_entity(page, at)) return "entity: " + page.substr(at, 20);
    if (here != '<') {
      if (open.empty() && !std::isspace(static_cast<unsigned char>(here))) return "text at the top";
      ++at;
      continue;
    }
    const bool closing = at + 1 < page.size() && page[at + 1] == '/';
    size_t name_end = at + (closing ? 2 : 1);
    while (name_end < page.size() && std::isalnum(static_cast<unsigned char>(page[name_end]))) {
      ++name_end;
    }
    const std::string name = page.substr(at + (closing ? 2 : 1), name_end - at - (closing ? 2 : 1));
    if (name.empty()) return "bare <: " + page.substr(at, 40);
    size_t end = name_end;
    while (end < page.size() && page[end] != '>') {
      if (page[end] == '<') return "< in a tag: " + page.substr(at, 60);
      if (page[end] == '=') {
        if (page[end + 1] != '"') return "attribute without quotes: " + page.substr(at, 60);
        const size_t quote = page.find('"', end + 2);
        for (size_t inside = end + 2; inside < quote; ++inside) {
          if (page[inside] == '<') return "< in an attribute: " + page.substr(at, 60);
          if (page[inside] == '&' && !good_entity(page, inside)) return "entity in an attribute";
        }
        end = quote;
      }
      ++end;
    }
    if (end >= page.size()) return "tag without end: " + page.substr(at, 60);
    if (closing) {
      if (open.empty() || open.back() != name) return "closing tag without its partner: " + name;
      open.pop_back();
    } else if (page[end - 1] != '/') {
      open.push_back(name);
    }
    at = end + 1;
    if (!closing && name == "style") at = page.find("</style>", at);
  }
  return open.empty() ? "" : "never closed: " + open.back();
}

std::string visible_text(const std::string& page) {
  std::string text;
  size_t at = page.find("<body>");
  while (at < page.size()) {
    if (page[at] == '<') {
      at = page.find('>', at) + 1;
    } else if (page[at] == '&') {
      const size_t end = page.find(';', at);
      const std::string name = page.substr(at + 1, end - at - 1);
      text += name == "amp"   ? "&"
              : name == "lt"  ? "<"
              : name == "gt"  ? ">"
              : name == "#39" ? "'"
              : name == "#34" ? "\""
                              : " ";
      at = end + 1;
    } else {
      text += page[at++];
    }
  }
  return text;
}

}  // namespace alm
