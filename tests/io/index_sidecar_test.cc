#include "io/index_sidecar.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>

#include "io/file_index.h"
#include "log_cases.h"

namespace alm::io {
namespace {

std::shared_ptr<const Log> open_log(const std::string& path, const std::string& index_dir) {
  return Log::open({path}, {.index_dir = index_dir});
}

// A log with its sidecar in a folder of its own, as for a log folder that may not be written.
class SidecarKeeping : public ::testing::Test {
 protected:
  void SetUp() override {
    write_log(path_, schema_, make_rows(schema_, 200, 3));
    reopen();
    good_ = file_bytes(sidecar_);
    ASSERT_FALSE(good_.empty());
  }

  void reopen() { EXPECT_EQ(open_log(path_, folder_ / "index")->rows(), 200); }

  TemporaryFolder folder_;
  LogSchema schema_ = full_schema();
  std::string path_ = folder_ / "log.h5";
  std::string sidecar_ = sidecar_path(path_, folder_ / "index");
  std::string good_;
};

TEST_F(SidecarKeeping, ACutOneIsMadeAnewWithoutAWord) {
  for (size_t size = 0; size < good_.size(); size += 97) {
    write_bytes(sidecar_, good_.substr(0, size));
    const auto log = open_log(path_, folder_ / "index");
    EXPECT_TRUE(log->warnings().empty());
    ASSERT_EQ(file_bytes(sidecar_), good_) << size;
  }
}

TEST_F(SidecarKeeping, OneThatIsTooLongOrOfAnotherVersionIsMadeAnew) {
  for (const std::string& bytes : {good_ + "x", "alm-index/0" + good_.substr(11), std::string()}) {
    write_bytes(sidecar_, bytes);
    reopen();
    EXPECT_EQ(file_bytes(sidecar_), good_);
  }
}

TEST_F(SidecarKeeping, APipeInItsPlaceIsNotWaitedFor) {
  std::filesystem::remove(sidecar_);
  ASSERT_EQ(::mkfifo(sidecar_.c_str(), 0600), 0);
  reopen();
  EXPECT_EQ(file_bytes(sidecar_), good_);
}

TEST_F(SidecarKeeping, ATouchedFileIsLookedAtAgain) {
  const auto before = std::filesystem::last_write_time(path_);
  std::filesystem::last_write_time(path_, before + std::chrono::seconds(2));
  reopen();
  EXPECT_NE(file_bytes(sidecar_), good_);  // of the new time
  std::filesystem::last_write_time(path_, before);
  reopen();
  EXPECT_EQ(file_bytes(sidecar_), good_);
}

TEST_F(SidecarKeeping, AnotherBeginningOfTheFileIsNoticedAtEqualSizeAndTime) {
  const auto before = std::filesystem::last_write_time(path_);
  std::string bytes = file_bytes(path_);
  bytes[20] = static_cast<char>(bytes[20] ^ 1);  // in the superblock
  write_bytes(path_, bytes);
  std::filesystem::last_write_time(path_, before);
  EXPECT_THROW(open_log(path_, folder_ / "index"), UserError);
}

TEST_F(SidecarKeeping, LogsOfOneNameInTwoFoldersHaveTheirOwn) {
  write_log(folder_ / "other/log.h5", schema_, make_rows(schema_, 50, 4));
  EXPECT_EQ(open_log(folder_ / "other/log.h5", folder_ / "index")->rows(), 50);
  EXPECT_EQ(file_bytes(sidecar_), good_);
  reopen();
}

}  // namespace
}  // namespace alm::io
