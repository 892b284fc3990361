#include "kernels/base/text.h"

#include <gtest/gtest.h>

#include <limits>

namespace alm {
namespace {

TEST(Format, HandlesEmptyLongAndNumbers) {
  EXPECT_EQ(format("%s", ""), "");
  EXPECT_EQ(format("%d of %s: %.2f", 3, "x", 1.5), "3 of x: 1.50");
  const std::string text(10000, 'a');
  EXPECT_EQ(format("<%s>", text.c_str()), "<" + text + ">");
}

TEST(SplitAndJoin, AreInverseAndKeepEmptyParts) {
  EXPECT_EQ(split("", ','), std::vector<std::string>{""});
  EXPECT_EQ(split("a,,b,", ','), (std::vector<std::string>{"a", "", "b", ""}));
  for (const char* text : {"", ",", "a", "a,b", ",a,,"})
    EXPECT_EQ(join(split(text, ','), ","), text);
  EXPECT_EQ(join({}, ", "), "");
}

TEST(WithCommas, GroupsDigitsOfAnyNumber) {
  EXPECT_EQ(with_commas(0), "0");
  EXPECT_EQ(with_commas(999), "999");
  EXPECT_EQ(with_commas(1000), "1,000");
  EXPECT_EQ(with_commas(1234567), "1,234,567");
  EXPECT_EQ(with_commas(-100), "-100");
  EXPECT_EQ(with_commas(-123456), "-123,456");
  EXPECT_EQ(with_commas(std::numeric_limits<long long>::min()), "-9,223,372,036,854,775,808");
}

TEST(HumanNumbers, ChooseTheUnit) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(0x1p60), "1048576.0 TiB");
  EXPECT_EQ(human_count(9999), "9999");
  EXPECT_EQ(human_count(12345), "12.3 k");
  EXPECT_EQ(human_seconds(1.25), "1.2 s");
  EXPECT_EQ(human_seconds(72), "1 min 12 s");
  EXPECT_EQ(human_seconds(7260), "2 h 01 min");
}

}  // namespace
}  // namespace alm
