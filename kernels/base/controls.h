// Words of strangers on a terminal.
#pragma once

#include <string>

namespace alm {

// Control characters as question marks: neither a line is broken nor a cursor moved.
inline std::string without_controls(std::string text) {
  for (char& c : text) c = static_cast<unsigned char>(c) < 32 || c == 127 ? '?' : c;
  return text;
}

}  // namespace alm
