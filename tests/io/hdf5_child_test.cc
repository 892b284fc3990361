// HDF5 in a helper process: the same answers, and errors about the file where HDF5 breaks down.
#include "io/hdf5_child.h"

#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "io/file_indexer.h"
#include "io/index_sidecar.h"
#include "log_cases.h"

namespace alm::io {
namespace {

std::string answer(const std::string& path, std::chrono::milliseconds patience) {
  return user_error([&] { Hdf5Child(patience).read_index(path, 0); });
}

class MisbehavingHelper {
 public:
  explicit MisbehavingHelper(const char* how) { ::setenv("ALM_TEST_HELPER", how, 1); }
  ~MisbehavingHelper() { ::unsetenv("ALM_TEST_HELPER"); }
};

TEST(Hdf5Child, SaysWhatHdf5SaysInThisProcess) {
  const TemporaryFolder folder;
  Hdf5Child child;
  for (const int64_t rows : {0, 1, 5003}) {
    const std::string path = folder / format("%d.h5", int(rows));
    write_log(path, full_schema(), make_rows(full_schema(), rows, 1));
    EXPECT_EQ(pack_index(child.read_index(path, 0)), pack_index(read_file_index(path)));
  }
  write_bytes(folder / "text.h5", "user,outcome\n");
  EXPECT_EQ(user_error([&] { child.read_index(folder / "text.h5", 0); }),
            user_error([&] { read_file_index(folder / "text.h5"); }));
  EXPECT_EQ(child.read_index(folder / "1.h5", 0).rows, 1);  // a fresh helper after an error
}

TEST(Hdf5Child, BringsTheRowsThatHdf5Reads) {
  const TemporaryFolder folder;
  const std::string path = folder / "log.h5";
  const LogSchema schema = full_schema();
  const Journeys rows = make_rows(schema, 5003, 3);
  write_log(path, schema, rows);
  Hdf5Child child;
  const FileIndex index = child.read_index(path, 0);
  std::vector<float> dense(3 * 17);
  child.read_rows(path, 0, *index.sets[7], 4000, 4017, reinterpret_cast<std::byte*>(dense.data()));
  EXPECT_EQ(std::memcmp(dense.data(), rows.dense.data() + 3 * 4000, dense.size() * 4), 0);
  DatasetIndex gone = *index.sets[7];
  gone.path = "/journey/gone";
  EXPECT_NE(user_error([&] {
              child.read_rows(path, 0, gone, 0, 1, reinterpret_cast<std::byte*>(dense.data()));
            }).find("log.h5, data set /journey/gone, rows 0 to 0: HDF5 cannot read them"),
            std::string::npos);
}

TEST(Hdf5Child, ACrashAHangAndNonsenseAreErrorsOfTheFile) {
  using std::chrono::milliseconds;
  {
    const MisbehavingHelper helper("crash");
    EXPECT_EQ(answer("log.h5", milliseconds(60000)),
              "log.h5: its HDF5 structure is damaged (HDF5 crashed over it, signal 11 "
              "(Segmentation fault)): bring the file again, or write it anew");
  }
  {
    const MisbehavingHelper helper("hang");
    EXPECT_NE(answer("log.h5", milliseconds(1000)).find("did not come to an end within 1 s"),
              std::string::npos);
  }
  {
    const MisbehavingHelper helper("babble");
    EXPECT_NE(answer("log.h5", milliseconds(60000)).find("contradicts itself"), std::string::npos);
  }
}

// Of the calling thread.
std::string children() {
  const pid_t me = ::getpid();
  std::ifstream list(format("/proc/%ld/task/%ld/children", long(me), long(me)));
  return {std::istreambuf_iterator<char>(list), {}};
}

// Schedulers and terminals send them to all processes of a job.
TEST(Hdf5Child, WishesToStopDoNotReachTheHelper) {
  const TemporaryFolder folder;
  write_log(folder / "log.h5", small_schema(), make_rows(small_schema(), 3, 1));
  Hdf5Child child;
  EXPECT_EQ(child.read_index(folder / "log.h5", 0).rows, 3);
  const std::string helper = children();
  ASSERT_NE(helper, "");
  for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2}) {
    ASSERT_EQ(::kill(static_cast<pid_t>(std::stol(helper)), signal), 0);
    EXPECT_EQ(child.read_index(folder / "log.h5", 0).rows, 3) << signal;
  }
  EXPECT_EQ(children(), helper);  // the same one, not another in its place
}

TEST(Hdf5Child, NeverLeavesAProcessBehind) {
  const TemporaryFolder folder;
  write_log(folder / "log.h5", small_schema(), make_rows(small_schema(), 3, 1));
  for (int attempt = 0; attempt < 3; ++attempt) {
    Hdf5Child child;
    child.read_index(folder / "log.h5", 0);
  }
  EXPECT_EQ(children(), "");
}

TEST(FileIndex, AnIndexThatDoesNotFitItsFileIsInconsistent) {
  const TemporaryFolder folder;
  write_log(folder / "log.h5", full_schema(), make_rows(full_schema(), 300, 2));
  const FileIndex good = read_file_index(folder / "log.h5");
  EXPECT_TRUE(is_consistent(good));
  const auto spoilt = [&](auto spoil) {
    FileIndex index = good;
    spoil(index, *index.sets[kClusterSlot]);
    return !is_consistent(index);
  };
  EXPECT_TRUE(spoilt([](FileIndex& index, DatasetIndex&) { ++index.rows; }));
  EXPECT_TRUE(spoilt([](FileIndex& index, DatasetIndex&) { --index.touches; }));
  EXPECT_TRUE(spoilt([](FileIndex& index, DatasetIndex&) { index.rows = int64_t{1} << 60; }));
  EXPECT_TRUE(spoilt([](FileIndex& index, DatasetIndex&) { index.sets[kUserSlot].reset(); }));
  EXPECT_TRUE(spoilt([](FileIndex& index, DatasetIndex&) { index.schema.dense = -1; }));
  EXPECT_TRUE(spoilt([](FileIndex& index, DatasetIndex&) { index.schema.item = false; }));
  EXPECT_TRUE(spoilt([](FileIndex&, DatasetIndex& set) { set.type.bytes = 3; }));
  EXPECT_TRUE(spoilt([](FileIndex&, DatasetIndex& set) { set.dimensions = 1000; }));
  EXPECT_TRUE(spoilt([](FileIndex&, DatasetIndex& set) { set.chunk_rows = 0; }));
  EXPECT_TRUE(spoilt([](FileIndex&, DatasetIndex& set) { set.chunk_rows = int64_t{1} << 40; }));
  EXPECT_TRUE(spoilt([](FileIndex&, DatasetIndex& set) { set.chunks.clear(); }));
  EXPECT_TRUE(spoilt([](FileIndex&, DatasetIndex& set) { set.chunks[0].address = ~uint64_t{7}; }));
  EXPECT_TRUE(spoilt([](FileIndex&, DatasetIndex& set) { set.filters = {{307, 0}}; }));
  EXPECT_TRUE(spoilt([](FileIndex& index, DatasetIndex& set) {
    set.layout = Layout::contiguous;
    set.address = static_cast<uint64_t>(index.bytes);
  }));
}

}  // namespace
}  // namespace alm::io
