#include "io/field.h"

#include <gtest/gtest.h>

#include <limits>

namespace alm::io {
namespace {

TEST(Field, NumbersAreFiniteAndWhole) {
  EXPECT_EQ(parse_number("1.5"), 1.5f);
  EXPECT_EQ(parse_number("+2e3"), 2000.0f);
  EXPECT_EQ(parse_number("-.5"), -0.5f);
  for (const char* text :
       {"", " 1", "1 ", "1,5", "nan", "inf", "-inf", "1e39", "0x1p3", "+-1", "1e"}) {
    EXPECT_EQ(parse_number(text), std::nullopt) << text;
  }
}

TEST(Field, BinariesAreDigitsOrWords) {
  for (const char* text : {"1", "yes", "TRUE"}) EXPECT_EQ(parse_binary(text), 1);
  for (const char* text : {"0", "No", "false"}) EXPECT_EQ(parse_binary(text), 0);
  for (const char* text : {"", "2", "1.0", "y"}) EXPECT_EQ(parse_binary(text), std::nullopt);
}

TEST(Field, TimesAreCountsOrDates) {
  using enum TimeUnit;
  EXPECT_EQ(parse_time("12", seconds), 12000);
  EXPECT_EQ(parse_time("12", milliseconds), 12);
  EXPECT_EQ(parse_time("12999", microseconds), 12);
  EXPECT_EQ(parse_time("-1", microseconds), -1);
  EXPECT_EQ(parse_time("-2000", microseconds), -2);
  // Known: 2000-02-29 is day 11016 since 1970.
  EXPECT_EQ(parse_time("2000-02-29", seconds), int64_t{11016} * 86400000);
  EXPECT_EQ(parse_time("1970-01-01T00:00:01.25Z", seconds), 1250);
  EXPECT_EQ(parse_time("1969-12-31 23:59:59", seconds), -1000);
  EXPECT_EQ(parse_time("1970-01-01 00:00:00.0019999999999999999999", seconds), 1);
  for (const char* text :
       {"", "1.5", "2001-02-29", "2000-13-01", "2000-1-1", "2000-01-01T", "2000-01-01 24:00:00",
        "2000-01-01 12", "2000-01-01 12:00:00.", "2000-01-01 12:00:00+1",
        "2000-01-01 12:00:00+24:00", "2000-01-01 12:00:00Zulu", "9223372036854775808"}) {
    EXPECT_EQ(parse_time(text, milliseconds), std::nullopt) << text;
  }
  EXPECT_EQ(parse_time("9223372036854775807", seconds), std::nullopt);
  EXPECT_EQ(parse_time("1970-01-01 02:30", seconds), 9'000'000);
  EXPECT_EQ(parse_time("1970-01-01T02:00:00+02:00", seconds), 0);
  EXPECT_EQ(parse_time("1970-01-01T00:00:00.5-0130", seconds), 5'400'500);
  // As tables of floats show seconds.
  EXPECT_EQ(parse_time("1714521600.0", seconds), 1714521600000);
  EXPECT_EQ(parse_time("1.2549", seconds), 1254);
  for (const char* text : {"1.", ".5", "-1.5", "1.5e3", "9223372036854775.5"}) {
    EXPECT_EQ(parse_time(text, seconds), std::nullopt) << text;
  }
}

TEST(Field, LengthsOfTimeHaveAUnit) {
  EXPECT_EQ(parse_duration("7d"), 7 * 86'400'000);
  EXPECT_EQ(parse_duration("12h"), 43'200'000);
  EXPECT_EQ(parse_duration("15m"), 900'000);
  EXPECT_EQ(parse_duration("90s"), 90'000);
  for (const char* text : {"", "d", "7", "0d", "-1d", "1.5d", "7 d", "100001d", "7w"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Field, LabelsAreNumbersOrHashesOfTheirText) {
  EXPECT_EQ(label_id("0"), 0u);
  EXPECT_EQ(label_id("18446744073709551615"), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(signed_label_id("-3"), -3);
  EXPECT_NE(label_id("007"), 7u);
  EXPECT_NE(label_id("a"), label_id("b"));
  EXPECT_EQ(label_id("a"), label_id("a"));
  EXPECT_GE(signed_label_id("abc"), 0);
}

}  // namespace
}  // namespace alm::io
