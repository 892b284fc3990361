#include "kernels/base/check.h"

#include <gtest/gtest.h>

namespace alm {
namespace {

std::string message_of(void (*fails)()) {
  try {
    fails();
  } catch (const BugError& error) {
    return error.what();
  }
  return "";
}

TEST(Check, SaysWhereWhatAndTheDetail) {
  const std::string plain = message_of([] { ALM_CHECK(1 + 1 == 3); });
  EXPECT_NE(plain.find("check_test.cc:"), std::string::npos);
  EXPECT_NE(plain.find("1 + 1 == 3"), std::string::npos);
  const std::string detailed = message_of([] { ALM_CHECK(false, "%d%% of %s", 5, "rows"); });
  EXPECT_NE(detailed.find("false: 5% of rows"), std::string::npos);
  // A condition with a percent sign is text, not a format.
  EXPECT_NE(message_of([] { ALM_CHECK(7 % 2 == 0); }).find("7 % 2 == 0"), std::string::npos);
}

TEST(Check, EvaluatesItsConditionOnceAndItsDetailOnlyWhenItFails) {
  int evaluated = 0, detailed = 0;
  ALM_CHECK(++evaluated == 1, "%d", ++detailed);
  EXPECT_EQ(evaluated, 1);
  EXPECT_EQ(detailed, 0);
}

TEST(Errors, CarryTheirExitCodes) {
  EXPECT_EQ(UserError("u").exit_code(), 1);
  EXPECT_EQ(MachineError("m").exit_code(), 2);
  EXPECT_EQ(BugError("b").exit_code(), 2);
  EXPECT_STREQ(UserError("line").what(), "line");
}

}  // namespace
}  // namespace alm
