#include "engine/report/svg_plot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>

#include "engine/report/html.h"
#include "tests/engine/report/render.h"

namespace alm::report {
namespace {

TEST(NiceTicks, LieInTheRangeAtRoundSteps) {
  for (const auto& [low, high] : {std::pair(0.0, 1.0),
                                  {-0.037, 0.091},
                                  {1e-7, 3e-7},
                                  {-3e9, 8e9},
                                  {0.9999, 1.0001},
                                  {12.0, 12.5}}) {
    for (const int wanted : {1, 3, 7}) {
      const Ticks ticks = nice_ticks(low, high, wanted);
      ASSERT_FALSE(ticks.at.empty());
      EXPECT_LE(ticks.at.size(), static_cast<size_t>(wanted) + 2);
      for (size_t at = 0; at < ticks.at.size(); ++at) {
        EXPECT_GE(ticks.at[at], low - 1e-9 * std::fabs(high));
        EXPECT_LE(ticks.at[at], high + 1e-9 * std::fabs(high));
        // The decimals shown are enough to tell neighbours apart.
        if (at > 0) {
          EXPECT_NE(fixed(ticks.at[at], ticks.decimals), fixed(ticks.at[at - 1], ticks.decimals));
        }
      }
    }
  }
}

TEST(NiceTicks, AnswerForEmptyAndBrokenRanges) {
  EXPECT_EQ(nice_ticks(3, 3, 5).at.size(), 1u);
  EXPECT_EQ(nice_ticks(0, std::numeric_limits<double>::infinity(), 5).at.size(), 1u);
}

// Every text of the drawing lies inside it, by our own estimate of widths.
void expect_inside(const std::string& svg) {
  const auto attribute = [&](size_t from, const std::string& name) {
    return std::atof(svg.c_str() + svg.find(" " + name + "=\"", from) + name.size() + 3);
  };
  const double width = attribute(0, "width");
  const double height = attribute(0, "height");
  for (size_t at = svg.find("<text"); at != svg.npos; at = svg.find("<text", at + 1)) {
    const size_t begin = svg.find('>', at) + 1;
    const std::string words = svg.substr(begin, svg.find('<', begin) - begin);
    const std::string tag = svg.substr(at, begin - at);
    const double length = text_width(words, 12);
    const double x = attribute(at, "x");
    const double left = tag.find("end\"") != tag.npos   ? x - length
                        : tag.find("mid\"") != tag.npos ? x - length / 2
                                                        : x;
    EXPECT_GE(left, -1) << words;
    EXPECT_LE(left + length, width + 1) << words;
    EXPECT_GT(attribute(at, "y"), 0) << words;
    EXPECT_LT(attribute(at, "y"), height) << words;
  }
}

TEST(Chart, KeepsItsLabelsInside) {
  for (const double scale : {1e-6, 1.0, 12345.0, 1e9}) {
    Chart chart(270, 190, "test");
    chart.x_title(
        "a very long title of the x axis that can not fit a chart so small as this one is");
    chart.y_title(
        "an equally long title of the y axis that can not fit this chart either, or can it");
    chart.line({{0, -scale}, {1000000, scale}}, Role::front_door);
    expect_inside(chart.svg());
  }
}

TEST(Chart, DrawsASinglePointAndAConstant) {
  Chart one(200, 150, "one");
  one.line({{5, 5}}, Role::muted);
  EXPECT_NE(one.svg().find("class=\"mark muted\""), std::string::npos);
  Chart flat(200, 150, "flat");
  flat.line({{0, 0}, {1, 0}, {2, 0}}, Role::muted);
  EXPECT_EQ(flat.svg().find("nan"), std::string::npos);
}

TEST(Chart, NamesPlacesOfItsAxis) {
  Chart chart(200, 150, "named");
  chart.dots({{1, 5}, {2, 6}}, Role::naive, 3);
  chart.x_range(0.5, 2.5);
  chart.x_names({{1, "2 %"}, {2, "<5 %"}});
  const std::string svg = chart.svg();
  EXPECT_NE(svg.find("class=\"tick mid\">2 %</text>"), std::string::npos) << svg;
  EXPECT_NE(svg.find("class=\"tick mid\">&lt;5 %</text>"), std::string::npos) << svg;
  EXPECT_EQ(svg.find("tick mid\">1.0"), std::string::npos) << svg;
  expect_inside(svg);
}

// In black and white too.
TEST(Chart, TellsRolesApartByShapeAndLinesByStroke) {
  std::set<std::string> shapes, lines;
  for (const Role role : {Role::front_door, Role::naive, Role::back_door, Role::muted}) {
    const std::string drawn = role_swatch(role);
    shapes.insert(drawn.substr(0, drawn.find("class=\"mark")));
  }
  EXPECT_EQ(shapes.size(), 4U);
  for (const Stroke stroke : {Stroke::solid, Stroke::dashed, Stroke::dotted}) {
    lines.insert(line_swatch(Role::front_door, stroke));
    Chart chart(200, 150, "line");
    chart.line({{0, 0}, {1, 1}}, Role::front_door, stroke);
    lines.insert(chart.svg());
  }
  EXPECT_EQ(lines.size(), 6U);
}

TEST(ForestPlot, KeepsItsLabelsInsideAndBoundsWildIntervals) {
  std::vector<ForestRow> rows(3);
  rows[0].label = "a name <b>that</b> goes on and on and on and on and on and on and on and on";
  rows[0].value = 0.05;
  rows[0].bounds = {0.04, 0.06};
  rows[1].label = "wild";
  rows[1].value = 0.01;
  rows[1].bounds = {-900.0, 1e6};
  rows[2].label = "none";
  const std::string svg = forest_plot(rows, "effect", "test");
  expect_inside(svg);
  EXPECT_EQ(svg.find("<b>"), std::string::npos);
  // The wild interval ends in two arrows, and the sane one still has a visible length.
  EXPECT_NE(svg.find("class=\"arrow front\""), std::string::npos);
  const size_t whisker = svg.find("class=\"whisker front\"");
  const size_t line = svg.rfind("<line", whisker);
  const double x1 = std::atof(svg.c_str() + svg.find("x1=\"", line) + 4);
  const double x2 = std::atof(svg.c_str() + svg.find("x2=\"", line) + 4);
  EXPECT_GT(x2 - x1, 20);
}

TEST(Text, FixedGroupsDigitsAndSigns) {
  EXPECT_EQ(fixed(1234567.891, 1), "1,234,567.9");
  EXPECT_EQ(fixed(-0.00001, 2), "0.00");
  EXPECT_EQ(fixed(-1234, 0), "\u22121,234");
  EXPECT_EQ(signed_fixed(0.052, 2), "+0.05");
  EXPECT_EQ(signed_fixed(0.0, 2), "0.00");
  EXPECT_EQ(bounds_fixed(-0.0004, 0.055, 3), "\u22120.000 to 0.055");
  EXPECT_EQ(bounds_fixed(-0.2, -0.0004, 3), "\u22120.200 to \u22120.000");
  EXPECT_EQ(bounds_fixed(0, 0.0004, 3), "0.000 to 0.000");
  EXPECT_EQ(decimals_for(0.0534), 4);
  EXPECT_EQ(decimals_for(1127.9), 1);
  EXPECT_EQ(decimals_for(2e6), 0);
}

TEST(Text, OrdinalsEndAsSpoken) {
  const char* expected[] = {"1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "20th", "21st"};
  int at = 0;
  for (const int64_t place : {1, 2, 3, 4, 11, 12, 13, 20, 21}) {
    EXPECT_EQ(ordinal(place), expected[at++]);
  }
  EXPECT_EQ(ordinal(113), "113th");
  EXPECT_EQ(ordinal(1002), "1,002nd");
}

TEST(Text, EscapeReplacesWhatIsNotText) {
  EXPECT_EQ(escape("a<b>&\"'"), "a&lt;b&gt;&amp;&#34;&#39;");
  EXPECT_EQ(escape("\xc3\xbc \xe6\xbc\xa2 \xf0\x9f\x8e\xac"),
            "\xc3\xbc \xe6\xbc\xa2 \xf0\x9f\x8e\xac");
  const std::string replacement = "\xef\xbf\xbd";
  EXPECT_EQ(escape("\xff"), replacement);
  EXPECT_EQ(escape("\xc3"), replacement);                             // cut at the end
  EXPECT_EQ(escape("\xc0\xaf"), replacement + replacement);           // an overlong slash
  EXPECT_EQ(escape("\xed\xa0\x80").find("\xed"), std::string::npos);  // a surrogate
  EXPECT_EQ(escape(std::string("\0", 1)), replacement);
}

TEST(Text, ShortenCountsCharactersNotBytes) {
  EXPECT_EQ(shorten("\xc3\xbc\xc3\xbc\xc3\xbc", 3), "\xc3\xbc\xc3\xbc\xc3\xbc");
  EXPECT_EQ(shorten("\xc3\xbc\xc3\xbc\xc3\xbc", 2), "\xc3\xbc\xe2\x80\xa6");
}

}  // namespace
}  // namespace alm::report
