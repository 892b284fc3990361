#include "kernels/base/check.h"

#include <cstdarg>
#include <cstdio>

namespace alm {
namespace {

[[noreturn]] void report(const char* file, int line, const char* condition,
                         const std::string& detail) {
  throw BugError(format("%s:%d: check failed: %s%s (a bug in this program: please report it)", file,
                        line, condition, detail.c_str()));
}

}  // namespace

Error::~Error() = default;

void bug(const char* file, int line, const char* condition) {
  report(file, line, condition, "");
}

void bug(const char* file, int line, const char* condition, const char* pattern, ...) {
  char detail[512];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(detail, sizeof detail, pattern, arguments);
  va_end(arguments);
  report(file, line, condition, std::string(": ") + detail);
}

}  // namespace alm
