#include "launch/device_choice.h"

#include <gtest/gtest.h>

namespace alm {
namespace {

const Gpu kUsable{true, ""};
const Gpu kNoDriver{true, "no driver"};
const Gpu kNotBuilt{false, "not built"};

std::string refusal(const Gpu& found, const std::string& not_yet) {
  try {
    choose_device("cuda", found, not_yet);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

TEST(DeviceChoice, AutoTakesAUsableGpuAndElseSaysWhyNot) {
  EXPECT_TRUE(choose_device("auto", kUsable, "").gpu);
  EXPECT_FALSE(choose_device("auto", kNoDriver, "").gpu);
  EXPECT_EQ(choose_device("auto", kNoDriver, "").why, "no driver");
  EXPECT_EQ(choose_device("auto", kNoDriver, "two ranks train").why, "no driver");
  EXPECT_FALSE(choose_device("auto", kUsable, "two ranks train").gpu);
  EXPECT_EQ(choose_device("auto", kUsable, "two ranks train").why.find("two ranks train"), 0u);
}

TEST(DeviceChoice, AutoIsSilentInAProgramWithoutCuda) {
  EXPECT_FALSE(choose_device("auto", kNotBuilt, "").gpu);
  EXPECT_EQ(choose_device("auto", kNotBuilt, "").why, "");
  EXPECT_EQ(choose_device("auto", kNotBuilt, "two ranks train").why, "");
}

TEST(DeviceChoice, TheCpuCanAlwaysBeAskedFor) {
  for (const Gpu& found : {kUsable, kNoDriver, kNotBuilt}) {
    EXPECT_FALSE(choose_device("cpu", found, "").gpu);
    EXPECT_EQ(choose_device("cpu", found, "").why, "--device cpu");
  }
}

TEST(DeviceChoice, CudaIsThereOrRefusedInOneLineThatSaysWhy) {
  EXPECT_TRUE(choose_device("cuda", kUsable, "").gpu);
  EXPECT_EQ(refusal(kNoDriver, ""), "--device cuda: no driver; or use --device cpu");
  EXPECT_EQ(refusal(kNotBuilt, ""), "--device cuda: not built; or use --device cpu");
  EXPECT_EQ(refusal(kUsable, "two ranks train"),
            "--device cuda: two ranks train, which no GPU computes yet; or use --device cpu");
}

TEST(DeviceChoice, WhatThisProgramFoundIsOneLine) {
  const Gpu found = find_gpu();
  EXPECT_EQ(found.obstacle.find('\n'), std::string::npos);
  if (found.obstacle.empty()) return;
  try {
    make_gpu_device();
    FAIL() << "no error";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find(found.obstacle), std::string::npos);
  }
}

}  // namespace
}  // namespace alm
