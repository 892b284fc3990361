#include "io/checkpoint_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "kernels/base/check.h"

namespace alm::io {
namespace {

namespace fs = std::filesystem;

class CheckpointFiles : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(testing::TempDir()) /
            (std::string("alm_checkpoint_") +
             testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  static CheckpointBlobs blobs_of(int64_t step) {
    CheckpointBlobs blobs;
    blobs.header = {{"step", step}, {"text", "a \"b\" \xC3\xA4"}, {"value", 0.1}};
    blobs.blobs["weights"].resize(1000, std::byte(step));
    blobs.blobs["rows.0"].resize(37, std::byte(step + 1));
    blobs.blobs["empty"];
    return blobs;
  }
  void save(int64_t step, int64_t keep = 10, std::vector<int64_t> pinned = {}) {
    save_checkpoint(root_.string(), step, blobs_of(step), keep, pinned);
  }
  void expect_step(const CheckpointBlobs& loaded, int64_t step) {
    const CheckpointBlobs expected = blobs_of(step);
    EXPECT_EQ(loaded.header, expected.header);
    EXPECT_EQ(loaded.blobs, expected.blobs);
  }
  // The newest loads as `step`; the notes name `damaged`.
  void expect_newest(int64_t step, const std::string& damaged) {
    std::vector<std::string> notes;
    const auto loaded = load_newest_checkpoint(root_.string(), notes);
    ASSERT_TRUE(loaded.has_value());
    expect_step(*loaded, step);
    if (damaged.empty()) {
      EXPECT_TRUE(notes.empty());
    } else {
      ASSERT_EQ(notes.size(), 1u);
      EXPECT_NE(notes[0].find(damaged), std::string::npos) << notes[0];
    }
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(root_)) {
      found.push_back(entry.path().filename().string());
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  fs::path root_;
};

void flip(const fs::path& path, int64_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const char before = static_cast<char>(file.get());
  file.seekp(at);
  file.put(static_cast<char>(before ^ 1));
}

TEST_F(CheckpointFiles, LoadsWhatWasSaved) {
  save(7);
  expect_step(load_checkpoint(root_.string(), 7), 7);
  expect_newest(7, "");
  std::ifstream latest(root_ / "latest");
  std::string text;
  std::getline(latest, text);
  EXPECT_EQ(text, "step-7");
}

TEST_F(CheckpointFiles, NoDirectoryIsNoCheckpoint) {
  std::vector<std::string> notes;
  EXPECT_FALSE(load_newest_checkpoint(root_.string(), notes).has_value());
  EXPECT_TRUE(notes.empty());
}

TEST_F(CheckpointFiles, StepsAreComparedAsNumbers) {
  for (const int64_t step : {9, 100, 20}) save(step);
  expect_newest(100, "");
}

TEST_F(CheckpointFiles, AnyFlippedByteOfAnyFileIsFoundAndThePreviousUsed) {
  save(1);
  save(2);
  const fs::path directory = root_ / "step-2";
  for (const std::string name : {"weights", "rows.0", "header.json"}) {
    const int64_t size = static_cast<int64_t>(fs::file_size(directory / name));
    for (const int64_t at : {int64_t{0}, size / 2, size - 1}) {
      flip(directory / name, at);
      expect_newest(1, "step-2/" + name);
      EXPECT_THROW(load_checkpoint(root_.string(), 2), UserError);
      flip(directory / name, at);
    }
  }
  expect_newest(2, "");
}

TEST_F(CheckpointFiles, AFlippedByteOfTheManifestNeverLoadsOtherContent) {
  save(1);
  save(2);
  const fs::path manifest = root_ / "step-2" / "manifest.json";
  const int64_t size = static_cast<int64_t>(fs::file_size(manifest));
  for (int64_t at = 0; at < size; ++at) {
    flip(manifest, at);
    std::vector<std::string> notes;
    const auto loaded = load_newest_checkpoint(root_.string(), notes);
    ASSERT_TRUE(loaded.has_value()) << "byte " << at;
    // A flip in the white space is harmless; every other one is noticed.
    expect_step(*loaded, notes.empty() ? 2 : 1);
    flip(manifest, at);
  }
}

TEST_F(CheckpointFiles, AMissingOrShortFileIsFoundAndThePreviousUsed) {
  save(1);
  save(2);
  const fs::path weights = root_ / "step-2" / "weights";
  fs::resize_file(weights, 999);
  expect_newest(1, "step-2/weights");
  fs::remove(weights);
  expect_newest(1, "step-2/weights");
  fs::remove(root_ / "step-2" / "manifest.json");
  expect_newest(1, "step-2/manifest.json");
}

TEST_F(CheckpointFiles, AnUnfinishedDirectoryIsNamedAndThePreviousUsed) {
  save(1);
  save(2);
  fs::rename(root_ / "step-2", root_ / "step-2.tmp");
  expect_newest(1, "step-2.tmp");
  save(2);
  expect_newest(2, "");
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "step-1", "step-2"}));
}

TEST_F(CheckpointFiles, AllDamagedIsNoCheckpointWithEveryOneNamed) {
  save(1);
  save(2);
  flip(root_ / "step-1" / "weights", 5);
  flip(root_ / "step-2" / "weights", 5);
  std::vector<std::string> notes;
  EXPECT_FALSE(load_newest_checkpoint(root_.string(), notes).has_value());
  EXPECT_EQ(notes.size(), 2u);
}

TEST_F(CheckpointFiles, AStepWrittenAgainReplacesTheEarlierOne) {
  save(1);
  save(2);
  flip(root_ / "step-2" / "weights", 5);
  save(2);
  expect_newest(2, "");
}

TEST_F(CheckpointFiles, ASaveCutOffBetweenItsTwoMovesLosesNothing) {
  save(1);
  save(2);
  fs::rename(root_ / "step-2", root_ / "step-2.old");
  expect_newest(2, "");
}

TEST_F(CheckpointFiles, KeepsTheNewestAndThePinned) {
  for (int64_t step = 1; step <= 6; ++step) save(step, 2, {3});
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "step-3", "step-5", "step-6"}));
}

TEST_F(CheckpointFiles, ADamagedNewerStepDoesNotPushOutGoodOnes) {
  for (const int64_t step : {10, 20}) save(step, 2);
  flip(root_ / "step-20" / "weights", 5);
  save(15, 2);
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "step-10", "step-15", "step-20"}));
  expect_newest(15, "step-20/weights");
}

TEST_F(CheckpointFiles, AManifestCannotNameFilesElsewhere) {
  save(1);
  const fs::path manifest = root_ / "step-1" / "manifest.json";
  Json value = read_json(manifest.string());
  value["files"][1]["name"] = "../latest";
  write_json_atomically(manifest.string(), value);
  EXPECT_THROW(load_checkpoint(root_.string(), 1), UserError);
}

TEST_F(CheckpointFiles, ARootThatCannotBeWrittenIsAMachineError) {
  fs::create_directories(root_.parent_path());
  std::ofstream(root_) << "a file";
  EXPECT_THROW(save(1), MachineError);
}

}  // namespace
}  // namespace alm::io
