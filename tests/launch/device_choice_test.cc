#include "launch/device_choice.h"

#include <gtest/gtest.h>

#include "tests/engine/estimate/thread_world.h"

namespace alm {
namespace {

const Gpu kUsable{true, "", "0000:3b:00.0"};
const Gpu kNoDriver{true, "no driver", ""};
const Gpu kNotBuilt{false, "not built", ""};

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

// The obstacle that all ranks agree on, of what each found.
std::string agreed(const std::vector<Gpu>& found) {
  std::vector<std::string> obstacles(found.size());
  ThreadWorld(std::ssize(found)).run([&](Communicator& world) {
    const size_t rank = static_cast<size_t>(world.rank());
    obstacles[rank] = usable_by_all(found[rank], world).obstacle;
  });
  for (const std::string& of : obstacles) EXPECT_EQ(of, obstacles[0]);
  return obstacles[0];
}

TEST(DeviceChoice, RanksTakeGpusWhenEachHasOneOfItsOwn) {
  const Gpu other{true, "", "0000:4b:00.0"};
  EXPECT_EQ(agreed({kUsable}), "");
  EXPECT_EQ(agreed({kUsable, other}), "");
  EXPECT_EQ(agreed({kNoDriver}), "no driver");
  EXPECT_EQ(agreed({kNoDriver, kNoDriver}), "no driver");
  EXPECT_EQ(agreed({kUsable, other, kNoDriver}).find("no driver (rank 2 on "), 0u);
  const std::string shared = agreed({other, kUsable, kUsable});
  EXPECT_EQ(shared.find("ranks 1 and 2 are shown one GPU ("), 0u) << shared;
  EXPECT_NE(shared.find("0000:3b:00.0"), std::string::npos) << shared;
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
