#include "engine/estimate/settled_outcome.h"

#include <gtest/gtest.h>

namespace alm {
namespace {

std::string warnings(const io::Json& prediction) {
  io::Json estimates = {{"prediction", prediction},
                        {"identification", {{"warnings", io::Json::array({"first"})}}}};
  warn_of_settled_outcome(estimates);
  const io::Json& all = estimates["identification"]["warnings"];
  EXPECT_EQ(all[0], "first");
  return all.size() > 1 ? all[1].get<std::string>() : "";
}

TEST(SettledOutcome, IsWarnedOf) {
  EXPECT_NE(warnings({{"auc", 1.0}, {"rig", 0.997}}).find("rig 0.997"), std::string::npos);
  EXPECT_NE(warnings({{"rmse", 0.1}, {"r2", 0.9}}).find("r2 0.900"), std::string::npos);
}

TEST(SettledOutcome, IsNoneWhereMuchIsOpen) {
  EXPECT_EQ(warnings({{"auc", 0.999}, {"rig", 0.89}}), "");
  EXPECT_EQ(warnings({{"rmse", 0.1}, {"r2", -2.0}}), "");
  EXPECT_EQ(warnings({{"auc", nullptr}, {"rig", nullptr}}), "");
  EXPECT_EQ(warnings(io::Json::object()), "");
}

}  // namespace
}  // namespace alm
