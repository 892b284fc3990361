#include "kernels/base/check.h"
#include "tests/fuzz/target.h"

namespace alm::fuzz {

void run_guarded(std::string_view input) {
  try {
    run_target(input);
  } catch (const UserError& error) {
    const std::string_view line = error.what();
    ALM_CHECK(!line.empty() && line.find('\n') == line.npos, "an error of several lines");
  }
}

}  // namespace alm::fuzz
