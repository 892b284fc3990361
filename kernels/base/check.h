// Errors and checks: who is to blame decides the type, and the type decides the exit code.
#pragma once

#include <stdexcept>
#include <string>

#include "kernels/base/text.h"

namespace alm {

// Base of every error the program reports as one line. `exit_code` is the process's
// (docs/operations.md).
class Error : public std::runtime_error {
 public:
  Error(int exit_code, const std::string& what) : std::runtime_error(what), exit_code_(exit_code) {}
  Error(const Error&) = default;
  ~Error() override;
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

// The user's input or options are wrong; the message names file, data set, row and what to do.
class UserError : public Error {
 public:
  explicit UserError(const std::string& what) : Error(1, what) {}
};

// A fault of the machine: disk full, peer lost, out of memory.
class MachineError : public Error {
 public:
  explicit MachineError(const std::string& what) : Error(2, what) {}
};

// Our own mistake. Raised by ALM_CHECK only.
class BugError : public Error {
 public:
  explicit BugError(const std::string& what) : Error(2, what) {}
};

// Out of line, with plain arguments: checks cost their callers no code but a call, which matters
// where files are compiled for one processor (kernels/cpu) and must not share inline functions with
// the rest.
[[noreturn]] void bug(const char* file, int line, const char* condition);
[[noreturn, gnu::format(printf, 4, 5)]] void bug(const char* file, int line, const char* condition,
                                                 const char* pattern, ...);

}  // namespace alm

// Programmer errors only; never reachable by user input. ALM_CHECK(cond) or ALM_CHECK(cond, "fmt",
// ...).
#define ALM_CHECK(condition, ...)                                                            \
  do {                                                                                       \
    if (!(condition)) ::alm::bug(__FILE__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)
