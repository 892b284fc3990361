#include "engine/report/roofline.h"

#include <gtest/gtest.h>

namespace alm {
namespace {

Roofline two_ops() {
  return {"Steps",
          "a machine",
          2.0,
          200e9,
          50e9,
          {{"product", 3, 1.0, 100e9, 5e9},
           {"copy <b>", 2, 0.5, 0, 20e9},
           {"loss", 1, 0.25, 5e9, 10e9}}};
}

// Spaces that do not break count as spaces.
bool holds(std::string html, const std::string& text) {
  const std::string firm = "\u00a0";
  for (size_t at = html.find(firm); at != std::string::npos; at = html.find(firm, at)) {
    html.replace(at, firm.size(), " ");
  }
  return html.find(text) != std::string::npos;
}

TEST(Roofline, SharesOfTheLimitsAreThoseOfTheDefinition) {
  const std::string page = make_roofline_report(two_ops());
  // 20 FLOP a byte allow min(200, 20 x 50) GFLOP/s; it does 100.
  EXPECT_TRUE(holds(page,
                    "<th>1 product</th><td>50.0 %</td><td>3.0</td><td>100.0</td><td>5.00</td>"
                    "<td>20.0</td><td>50 %</td>"));
  // No FLOP: 40 of the 50 GB/s.
  EXPECT_TRUE(holds(page,
                    "<th>2 copy &lt;b&gt;</th><td>25.0 %</td><td>2.0</td><td></td><td>40.0</td>"
                    "<td>0</td><td>80 %</td>"));
  // Half a FLOP a byte allows 25 GFLOP/s; it does 20.
  EXPECT_TRUE(holds(page, "<td>0.500</td><td>80 %</td>"));
  EXPECT_TRUE(holds(page, "<th>outside operations</th><td>12.5 %</td>"));
}

TEST(Roofline, PlotsWhatHasAnIntensityUnderItsNumber) {
  const std::string page = make_roofline_report(two_ops());
  EXPECT_TRUE(holds(page, ">1</text>"));
  EXPECT_TRUE(holds(page, ">3</text>"));
  EXPECT_FALSE(holds(page, ">2</text>"));
}

TEST(Roofline, WithoutOperationsThereIsAPageStill) {
  Roofline none = two_ops();
  none.ops.clear();
  const std::string page = make_roofline_report(none);
  EXPECT_FALSE(holds(page, "<figure>"));
  EXPECT_TRUE(holds(page, "<th>outside operations</th><td>100.0 %</td>"));
}

}  // namespace
}  // namespace alm
