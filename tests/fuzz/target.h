// What a fuzz target of this folder defines. entry.cc makes a coverage-guided fuzzer of it (clang,
// -DALM_FUZZ=ON), replay.cc a plain test program that runs the seeds and simple mutations of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace alm::fuzz {

// Any bytes in. May throw UserError; another exception, a failed check, a sanitizer's report or a
// hang is a bug.
void run_target(std::string_view input);

// Small inputs that reach deep.
std::vector<std::string> seeds();

// run_target() as both drivers call it: takes the UserError, whose message has to be one line.
void run_guarded(std::string_view input);

}  // namespace alm::fuzz
