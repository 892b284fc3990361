#include "launch/environment.h"

#include <unistd.h>

#include <algorithm>

#include "kernels/base/nearest_name.h"
#include "launch/commands.h"

namespace alm {
namespace {

const std::string kPrefix = "ALM_";

}  // namespace

const std::vector<std::string>& variables_of_scripts() {
  static const std::vector<std::string> names = {
      "ALM_BUILD",      "ALM_CASE",    "ALM_CTEST",    "ALM_DATA",  "ALM_PROGRAM",
      "ALM_REPORT_OUT", "ALM_REQUIRE", "ALM_SANITIZE", "ALM_SYNTH", "ALM_TEST_HELPER",
      "ALM_TRAIN",      "ALM_WITHOUT", "ALM_WRITE"};
  return names;
}

std::vector<std::string> warnings_of_variables(const std::vector<std::string>& environment) {
  // Without the prefix, which would make any two of them look alike.
  std::vector<std::string> known;
  const auto add = [&](const std::vector<std::string>& names) {
    for (const std::string& name : names) known.push_back(name.substr(kPrefix.size()));
  };
  for (const Command& command : all_commands()) add(environment_names(command.spec));
  add(variables_of_scripts());

  std::vector<std::string> warnings;
  for (const std::string& variable : environment) {
    const size_t equals = variable.find('=');
    if (!variable.starts_with(kPrefix) || equals == variable.npos) continue;
    const std::string name = variable.substr(kPrefix.size(), equals - kPrefix.size());
    const bool empty = equals + 1 == variable.size();
    if (empty || std::ranges::find(known, name) != known.end()) continue;
    const std::string nearest = nearest_name(name, known);
    warnings.push_back("the environment variable " + kPrefix + name +
                       " is ignored, nothing reads one of that name" +
                       (nearest.empty() ? "" : "; did you mean " + kPrefix + nearest + "?"));
  }
  return warnings;
}

std::vector<std::string> warnings_of_variables() {
  std::vector<std::string> environment;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    environment.emplace_back(*variable);
  }
  return warnings_of_variables(environment);
}

}  // namespace alm
