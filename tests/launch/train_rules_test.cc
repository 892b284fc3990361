#include "launch/train_rules.h"

#include <gtest/gtest.h>

#include "kernels/base/check.h"
#include "launch/commands.h"
#include "launch/train_flags.h"

namespace alm {
namespace {

// What `alm train` with these options is refused with before it opens the log; empty: it is not.
std::string refusal(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--log", "log", "--out", "run"});
  try {
    train_options(parse_options(train_command().spec, arguments));
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

TEST(TrainRules, WhatIsOfProxyModeIsRefusedWithoutIt) {
  int64_t found = 0;
  for (const OptionSpec& option : train_flags()) {
    if (!option.help.starts_with("Proxy mode")) continue;
    ++found;
    SCOPED_TRACE(option.name);
    const std::string value = option.choices.empty() ? "1" : option.choices.back();
    const std::string said = refusal({"--" + option.name, value});
    EXPECT_TRUE(said.starts_with("--" + option.name + " is of --mediator proxy")) << said;
    EXPECT_EQ(refusal({"--mediator", "proxy", "--" + option.name, value}), "");
  }
  EXPECT_EQ(found, 10);
}

TEST(TrainRules, TimelineOptionsNeedEachOtherAndSteps) {
  EXPECT_NE(refusal({"--timeline-steps", "5"}).find("--timeline FILE"), std::string::npos);
  EXPECT_EQ(refusal({"--timeline", "file", "--timeline-steps", "5"}), "");
  EXPECT_NE(refusal({"--timeline", "file", "--nuisance", "tabular"}).find("tabular takes none"),
            std::string::npos);
}

TEST(TrainRules, WhatGoesTogetherIsTaken) {
  EXPECT_EQ(refusal({}), "");
  EXPECT_EQ(refusal({"--no-graph", "--folds", "3", "--bootstrap-fits", "2"}), "");
}

}  // namespace
}  // namespace alm
