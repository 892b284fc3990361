#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <thread>

#include "io/file_index.h"
#include "io/file_indexer.h"
#include "io/hdf5_writer.h"
#include "kernels/base/clock.h"
#include "log_cases.h"

namespace alm::io {
namespace {

std::shared_ptr<const Log> open(const std::string& path, LogOptions options = {}) {
  return Log::open({path}, options);
}

void expect_contains(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is missing in: " << text;
  }
}

// ---- Rows come back
// -------------------------------------------------------------------------------

TEST(Log, EveryColumnComesBackForEveryCodecAndSize) {
  const TemporaryFolder folder;
  LogSchema schema = full_schema();
  schema.block_rows = 1000;
  for (const Codec codec : {Codec::deflate, Codec::none, Codec::zstd, Codec::lz4}) {
    for (const int64_t rows : {0, 1, 97, 1000, 20011}) {
      const std::string path = folder / format("%d-%d.h5", static_cast<int>(codec), int(rows));
      const Journeys written = make_rows(schema, rows, static_cast<uint64_t>(rows));
      write_log(path, schema, written, codec);
      const auto log = open(path);
      EXPECT_EQ(log->schema(), schema);
      EXPECT_EQ(log->rows(), rows);
      EXPECT_EQ(log->touches(), written.touches());
      EXPECT_TRUE(log->warnings().empty()) << log->warnings().front();
      EXPECT_EQ(static_cast<int64_t>(log->blocks().size()), (rows + 999) / 1000);
      expect_same(read_all(*log), written);
    }
  }
}

TEST(Log, OurDecodingEqualsHdf5BitForBit) {
  const TemporaryFolder folder;
  LogSchema schema = full_schema();
  schema.block_rows = 777;
  for (const Codec codec : {Codec::deflate, Codec::none}) {
    write_log(folder / "log.h5", schema, make_rows(schema, 40009, 5), codec);
    const auto oracle = open(folder / "log.h5", {.use_h5dread = true});
    expect_same(read_all(*open(folder / "log.h5")), read_all(*oracle));
  }
}

TEST(Log, ContinuousOutcomesAndArmLogsComeBack) {
  const TemporaryFolder folder;
  LogSchema schema = small_schema();
  schema.outcome = OutcomeKind::continuous;
  schema.reference_cluster = 2;
  const Journeys written = make_rows(schema, 501, 6);
  write_log(folder / "log.h5", schema, written);
  const auto log = open(folder / "log.h5");
  EXPECT_EQ(log->schema().reference_cluster, 2);
  EXPECT_EQ(log->schema().outcome, OutcomeKind::continuous);
  expect_same(read_all(*log), written);
}

TEST(Log, NamesThatAreNotUtf8AreReadSoThatJsonCanHoldThem) {
  const TemporaryFolder folder;
  LogSchema schema = small_schema();
  schema.cluster_names = {"caf\xe9", "ok", "\xff\xfe"};
  write_log(folder / "log.h5", schema, make_rows(schema, 5, 1));
  const auto log = open(folder / "log.h5");
  const std::vector<std::string> expected{"caf\xEF\xBF\xBD", "ok", "\xEF\xBF\xBD\xEF\xBF\xBD"};
  EXPECT_EQ(log->schema().cluster_names, expected);
}

TEST(Log, OnlyTheColumnsAskedForAreFilled) {
  const TemporaryFolder folder;
  write_log(folder / "log.h5", full_schema(), make_rows(full_schema(), 50, 7));
  const Journeys rows = read_all(*open(folder / "log.h5"), ColumnSet::model());
  EXPECT_EQ(rows.time.size(), 50u);
  EXPECT_TRUE(rows.proxy.empty() && rows.delta_do.empty() && rows.outcome_time.empty());
}

TEST(Log, EqualRowsGiveEqualBytesHoweverTheyAreAppended) {
  const TemporaryFolder folder;
  LogSchema schema = full_schema();
  schema.dense = 101;  // wide columns, whose chunks fill at different rows
  schema.dense_names.clear();
  schema.cat = 70;
  const Journeys rows = make_rows(schema, 6011, 8);
  write_log(folder / "a.h5", schema, rows);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // times are stored in seconds
  LogWriter writer(folder / "b.h5", schema, rows.size(), Codec::deflate);
  Journeys piece;
  for (int64_t row = 0; row < rows.size(); ++row) {
    piece.append(rows, row, schema);
    if (piece.size() < 1 + row % 97) continue;
    writer.append(piece);
    piece.clear();
  }
  writer.append(piece);
  writer.finish();
  EXPECT_TRUE(file_bytes(folder / "a.h5") == file_bytes(folder / "b.h5"));
}

TEST(Log, AWriterThatStopsEarlyLeavesNothing) {
  const TemporaryFolder folder;
  {
    LogWriter writer(folder / "log.h5", small_schema(), 10, Codec::deflate);
    writer.append(make_rows(small_schema(), 9, 1));
    EXPECT_THROW(writer.finish(), BugError);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Log, FilesFollowEachOtherInOrderOfTheirNames) {
  const TemporaryFolder folder;
  const LogSchema schema = small_schema();
  write_log(folder / log_file_name(1), schema, make_rows(schema, 20, 2));
  write_log(folder / log_file_name(0), schema, make_rows(schema, 10, 1));
  for (const std::string& path : {folder.path(), folder / "*.h5", folder / "part-0000?.h5"}) {
    const auto log = open(path);
    ASSERT_EQ(log->files().size(), 2u);
    EXPECT_EQ(log->files()[1].first_row, 10);
    const Journeys rows = read_all(*log);
    EXPECT_EQ(rows.user[0], make_rows(schema, 10, 1).user[0]);
    EXPECT_EQ(rows.row.back(), 29);
  }
}

TEST(Log, ThreadsReadAtOnce) {
  const TemporaryFolder folder;
  LogSchema schema = full_schema();
  schema.block_rows = 500;
  const Journeys written = make_rows(schema, 5003, 9);
  write_log(folder / "log.h5", schema, written);
  const auto log = open(folder / "log.h5");
  std::vector<Journeys> read(3);
  std::vector<std::thread> threads;
  for (Journeys& rows : read) threads.emplace_back([&] { rows = read_all(*log); });
  for (std::thread& thread : threads) thread.join();
  for (const Journeys& rows : read) expect_same(rows, written);
}

TEST(Log, LongJourneysKeepTheirLatestTouches) {
  const TemporaryFolder folder;
  const LogSchema schema = full_schema();
  const Journeys written = make_rows(schema, 300, 10);
  write_log(folder / "log.h5", schema, written);
  ReadReport report;
  const Journeys rows =
      read_all(*open(folder / "log.h5", {.max_touches = 3}), ColumnSet::all(), &report);
  int64_t long_rows = 0;
  int64_t cut = 0;
  ASSERT_EQ(rows.size(), written.size());
  for (int64_t row = 0; row < rows.size(); ++row) {
    const int64_t before = written.touches_of(row);
    ASSERT_EQ(rows.touches_of(row), std::min<int64_t>(before, 3));
    long_rows += before > 3;
    cut += std::max<int64_t>(before - 3, 0);
    for (int64_t touch = 1; touch <= rows.touches_of(row); ++touch) {
      const auto end = static_cast<size_t>(rows.touch_begin[static_cast<size_t>(row) + 1] - touch);
      const auto was =
          static_cast<size_t>(written.touch_begin[static_cast<size_t>(row) + 1] - touch);
      ASSERT_EQ(rows.item[end], written.item[was]);
      ASSERT_EQ(rows.proxy[end * 3 + 2], written.proxy[was * 3 + 2]);
    }
  }
  EXPECT_EQ(report.truncated_rows, long_rows);
  EXPECT_EQ(report.truncated_touches, cut);
}

TEST(Journeys, AppendLeavesOutTheTouchAskedFor) {
  const LogSchema schema = full_schema();
  const Journeys rows = make_rows(schema, 40, 11);
  int64_t with_three = 0;
  while (rows.touches_of(with_three) < 3) ++with_three;
  const auto begin = static_cast<size_t>(rows.touch_begin[static_cast<size_t>(with_three)]);
  Journeys out;
  out.append(rows, with_three, schema, 1);
  EXPECT_EQ(out.touches(), rows.touches_of(with_three) - 1);
  EXPECT_EQ(out.item[0], rows.item[begin]);
  EXPECT_EQ(out.item[1], rows.item[begin + 2]);
  EXPECT_EQ(out.touch_dense[2], rows.touch_dense[2 * (begin + 2)]);
  EXPECT_EQ(out.proxy.size(), 3 * out.item.size());
}

// ---- Bad rows
// -------------------------------------------------------------------------------------

struct BadRowCase {
  const char* name;
  std::function<void(Journeys&, size_t row, size_t touch)> damage;
  std::vector<std::string> words;
};

TEST(BadRows, EachKindIsNamedOrSkippedAndTheOthersStay) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<BadRowCase> cases = {
      {"outcome",
       [](Journeys& j, size_t r, size_t) { j.outcome[r] = 2; },
       {"/journey/outcome", "0 or 1"}},
      {"weight", [](Journeys& j, size_t r, size_t) { j.weight[r] = -1; }, {"/journey/weight"}},
      {"dense",
       [&](Journeys& j, size_t r, size_t) { j.dense[r * 3 + 1] = -kInfinity; },
       {"/journey/dense", "infinite"}},
      {"cluster",
       [](Journeys& j, size_t, size_t t) { j.cluster[t] = 7; },
       {"/touch/cluster", "7", "0 to 6"}},
      {"touch dense",
       [&](Journeys& j, size_t, size_t t) { j.touch_dense[2 * t] = kInfinity; },
       {"/touch/dense"}},
      {"mediator",
       [](Journeys& j, size_t, size_t t) { j.mediator[t] = 2; },
       {"/touch/mediator", "255"}},
      {"proxy", [](Journeys& j, size_t, size_t t) { j.proxy[3 * t + 2] = 9; }, {"/touch/proxy"}},
      {"randomised",
       [](Journeys& j, size_t, size_t t) { j.randomised[t] = 255; },
       {"/touch/randomised"}},
      {"match", [&](Journeys& j, size_t, size_t t) { j.match[t] = kInfinity; }, {"/touch/match"}},
      {"propensity",
       [](Journeys& j, size_t, size_t t) { j.propensity[t] = 1.5f; },
       {"/touch/propensity"}},
      {"order",
       [](Journeys& j, size_t, size_t t) {
         j.touch_time[t] -= 5000;
         j.mediator_time[t] = -1;
       },
       {"/touch/time", "before the touch"}},
      {"late touch",
       [](Journeys& j, size_t r, size_t t) {
         j.touch_time[t + 1] = j.time[r];
         j.mediator_time[t + 1] = -1;
       },
       {"/touch/time", "outcome window"}},
      {"early mediator",
       [](Journeys& j, size_t, size_t t) { j.mediator_time[t] = j.touch_time[t] - 1; },
       {"/touch/mediator_time", "before its touch"}},
      {"late mediator",
       [](Journeys& j, size_t r, size_t t) {
         j.outcome_time[r] = j.time[r];
         j.mediator_time[t] = j.time[r] + 1;
       },
       {"/touch/mediator_time", "after the upload"}},
  };
  const TemporaryFolder folder;
  LogSchema schema = full_schema();
  schema.block_rows = 64;
  const Journeys good = make_rows(schema, 200, 12);
  // The last two touches of a journey in the second block.
  size_t row = 100;
  while (good.touches_of(static_cast<int64_t>(row)) < 3) ++row;
  const size_t touch = static_cast<size_t>(good.touch_begin[row + 1]) - 2;
  Journeys others;
  for (int64_t index = 0; index < good.size(); ++index) {
    if (static_cast<size_t>(index) != row) others.append(good, index, schema);
  }
  for (const BadRowCase& bad : cases) {
    SCOPED_TRACE(bad.name);
    Journeys rows = good;
    bad.damage(rows, row, touch);
    const std::string path = folder / (std::string(bad.name) + ".h5");
    write_log(path, schema, rows);
    const std::string text = user_error([&] { read_all(*open(path)); });
    expect_contains(text, bad.words);
    expect_contains(text, {path, format("row %zu", row), "--on-bad-row"});
    ReadReport report;
    const auto log = open(path, {.on_bad_row = OnBadRow::skip});
    expect_same(read_all(*log, ColumnSet::all(), &report), others);
    EXPECT_EQ(report.bad_rows, 1);
    expect_contains(report.first_bad_row, bad.words);
  }
}

TEST(BadRows, ContinuousOutcomesMustBeFinite) {
  const TemporaryFolder folder;
  LogSchema schema = small_schema();
  schema.outcome = OutcomeKind::continuous;
  Journeys rows = make_rows(schema, 20, 13);
  rows.outcome[5] = std::numeric_limits<float>::quiet_NaN();
  write_log(folder / "log.h5", schema, rows);
  expect_contains(user_error([&] { read_all(*open(folder / "log.h5")); }),
                  {"/journey/outcome", "row 5", "finite"});
}

// A log made by hand, so that its offsets and types can be anything.
struct HandMade {
  std::vector<int64_t> offsets{0, 2, 2, 5, 6};
  std::vector<int64_t> clusters{0, 1, 2, 0, 1, 2};
  std::vector<uint8_t> outcomes{0, 1, 0, 1};
  std::vector<uint64_t> users{11, 12, 13, 14};
  int64_t reference_cluster = -1;
  int64_t block_rows = 0;

  void write(const std::string& path) const {
    Hdf5Writer file(path, Codec::deflate);
    file.attribute("alm_schema", "alm-log/1");
    file.attribute("clusters", 3);
    if (reference_cluster >= 0) file.attribute("reference_cluster", reference_cluster);
    if (block_rows > 0) file.attribute("block_rows", block_rows);
    column(file, "/journey/user", ValueType::u64, users);
    column(file, "/journey/outcome", ValueType::u8, outcomes);
    column(file, "/journey/touch_begin", ValueType::i64, offsets);
    column(file, "/touch/cluster", ValueType::i64, clusters);
    file.finish();
  }

  template <class T>
  static void column(Hdf5Writer& file, const char* path, ValueType type,
                     const std::vector<T>& values) {
    const int64_t number = file.add({.path = path, .type = type});
    file.append(number, std::as_bytes(std::span(values)));
  }
};

TEST(BadRows, OffsetsThatGoBackAreFoundAndSkipped) {
  const TemporaryFolder folder;
  HandMade log;
  log.offsets = {0, 2, 5, 3, 6};
  log.write(folder / "log.h5");
  expect_contains(user_error([&] { read_all(*open(folder / "log.h5")); }),
                  {"/journey/touch_begin", "row 1", "go back", "5 is followed by 3"});
  ReadReport report;
  const Journeys rows =
      read_all(*open(folder / "log.h5", {.on_bad_row = OnBadRow::skip}), ColumnSet::all(), &report);
  EXPECT_EQ(report.bad_rows, 2);  // the fall, and the row whose end it contradicts
  EXPECT_EQ(rows.user, (std::vector<uint64_t>{11, 14}));
  EXPECT_EQ(rows.touch_begin, (std::vector<int64_t>{0, 2, 5}));
  EXPECT_EQ(rows.cluster, (std::vector<uint32_t>{0, 1, 0, 1, 2}));
}

TEST(BadRows, OffsetsMustBeginAtZeroEndAtTheTouchesAndStayInside) {
  const TemporaryFolder folder;
  for (const auto& [offsets, words] :
       std::vector<std::pair<std::vector<int64_t>, std::vector<std::string>>>{
           {{1, 2, 2, 5, 6}, {"row 0", "first offset"}},
           {{0, 2, 2, 5, 5}, {"row 4", "last offset"}},
           {{0, 2, 9, 9, 6}, {"row 1", "9 lies past the 6"}},
           {{0, 2, -1, 5, 6}, {"row 0", "2 is followed by -1"}}}) {
    HandMade log;
    log.offsets = offsets;
    log.write(folder / "log.h5");
    std::filesystem::remove(folder / "log.h5.index");
    expect_contains(user_error([&] { read_all(*open(folder / "log.h5")); }), words);
  }
}

TEST(BadRows, WiderTypesAreTakenWhileEveryValueFits) {
  const TemporaryFolder folder;
  HandMade log;
  log.write(folder / "log.h5");
  EXPECT_EQ(read_all(*open(folder / "log.h5")).cluster, (std::vector<uint32_t>{0, 1, 2, 0, 1, 2}));
  log.clusters[3] = int64_t{1} << 40;
  log.write(folder / "big.h5");
  expect_contains(user_error([&] { read_all(*open(folder / "big.h5")); }),
                  {"/touch/cluster", "row 2", "touch 3", "does not fit"});
  log.clusters[3] = -1;
  log.write(folder / "minus.h5");
  expect_contains(user_error([&] { read_all(*open(folder / "minus.h5")); }), {"does not fit"});
}

TEST(BadRows, ABlockWhereNoValueFitsIsSoonSaid) {
  const TemporaryFolder folder;
  constexpr int64_t kRows = 300'000;  // in one block
  HandMade log;
  log.block_rows = kRows;
  log.users.assign(kRows, 1);
  log.outcomes.assign(kRows, 0);
  log.clusters.assign(kRows, -1);
  log.offsets.resize(kRows + 1);
  std::iota(log.offsets.begin(), log.offsets.end(), 0);
  log.write(folder / "log.h5");
  const Timer timer;
  const auto opened = open(folder / "log.h5", {.on_bad_row = OnBadRow::skip});
  Journeys rows;
  EXPECT_EQ(opened->read_block(0, ColumnSet::all(), rows).bad_rows, kRows);
  EXPECT_LT(timer.seconds(), 10);  // rows times values would be 90 thousand million steps
}

TEST(Log, TinyBlocksOfALargeFileAreReadInLargerOnes) {
  const TemporaryFolder folder;
  constexpr int64_t kRows = (int64_t{1} << 22) + 1;
  HandMade log;
  log.block_rows = 1;
  log.users.assign(kRows, 1);
  log.outcomes.assign(kRows, 0);
  log.clusters.clear();
  log.offsets.assign(kRows + 1, 0);
  log.write(folder / "log.h5");
  const auto opened = open(folder / "log.h5");
  EXPECT_EQ(opened->blocks().size(), (kRows + 1) / 2);
  EXPECT_EQ(opened->blocks().back().rows, 1);
  EXPECT_EQ(opened->blocks()[1].first_row, 2);
}

TEST(BadRows, JourneysOfAnArmLogHaveExactlyOneTouch) {
  const TemporaryFolder folder;
  HandMade log;
  log.reference_cluster = 0;
  log.write(folder / "log.h5");
  expect_contains(user_error([&] { read_all(*open(folder / "log.h5")); }),
                  {"row 0", "2 touches", "arm log"});
  log.reference_cluster = 3;
  log.write(folder / "arm.h5");
  expect_contains(user_error([&] { open(folder / "arm.h5"); }), {"reference_cluster is 3"});
}

// ---- Files that are wrong
// -------------------------------------------------------------------------

TEST(LogFiles, WhatIsNoLogIsNamedInOneLine) {
  const TemporaryFolder folder;
  expect_contains(user_error([&] { open(folder / "nothing.h5"); }), {"nothing.h5", "no such file"});
  expect_contains(user_error([&] { open(folder.path()); }), {"no *.h5 file"});
  write_bytes(folder / "text.h5", "user,outcome\n1,0\n");
  expect_contains(user_error([&] { open(folder / "text.h5"); }), {"text.h5", "HDF5"});
  {
    Hdf5Writer file(folder / "other.h5", Codec::none);
    file.attribute("alm_schema", "alm-log/9");
    file.finish();
  }
  expect_contains(user_error([&] { open(folder / "other.h5"); }), {"alm-log/9", "alm-log/1"});
  write_log(folder / "log.h5", small_schema(), make_rows(small_schema(), 3, 1));
  expect_contains(user_error([&] {
                    Log::open({folder / "log.h5", folder / "log.*5"}, {});
                  }),
                  {"twice"});
}

TEST(LogFiles, MissingWrongAndMisshapenDataSetsAreNamed) {
  const TemporaryFolder folder;
  const auto attempt = [&](const std::function<void(Hdf5Writer&)>& build) {
    std::filesystem::remove(folder / "log.h5.index");
    Hdf5Writer file(folder / "log.h5", Codec::deflate);
    file.attribute("alm_schema", "alm-log/1");
    file.attribute("clusters", 3);
    build(file);
    file.finish();
    return user_error([&] { open(folder / "log.h5"); });
  };
  const std::vector<uint64_t> users{1, 2};
  const std::vector<float> reals{1, 2, 3};
  expect_contains(attempt([](Hdf5Writer&) {}), {"/journey/user", "missing"});
  expect_contains(attempt([&](Hdf5Writer& file) {
                    HandMade::column(file, "/journey/user", ValueType::f32, reals);
                  }),
                  {"/journey/user", "floats"});
  expect_contains(attempt([&](Hdf5Writer& file) {
                    HandMade::column(file, "/journey/user", ValueType::u64, users);
                    HandMade::column(file, "/journey/outcome", ValueType::f32, reals);
                  }),
                  {"/journey/outcome", "3 rows", "2"});
  expect_contains(
      attempt([&](Hdf5Writer& file) {
        const int64_t number =
            file.add({.path = "/journey/user", .type = ValueType::u64, .width = 2, .matrix = true});
        file.append(number, std::as_bytes(std::span(users)));
      }),
      {"/journey/user", "2 dimensions"});
}

TEST(LogFiles, FilesOfDifferentSchemasAreRefused) {
  const TemporaryFolder folder;
  LogSchema schema = small_schema();
  write_log(folder / "a.h5", schema, make_rows(schema, 3, 1));
  schema.dense = 2;
  write_log(folder / "b.h5", schema, make_rows(schema, 3, 1));
  expect_contains(user_error([&] { open(folder.path()); }),
                  {"b.h5", "a.h5", "/journey/dense is 2 columns, not absent"});
}

TEST(LogFiles, ATruncatedFileIsAnErrorWhereverItEnds) {
  const TemporaryFolder folder;
  write_log(folder / "log.h5", full_schema(), make_rows(full_schema(), 500, 14));
  const std::string whole = file_bytes(folder / "log.h5");
  for (int part = 0; part < 20; ++part) {
    write_bytes(folder / "cut.h5", whole.substr(0, whole.size() * static_cast<size_t>(part) / 20));
    expect_contains(user_error([&] { open(folder / "cut.h5"); }), {"cut.h5"});
  }
  write_bytes(folder / "cut.h5", whole.substr(0, whole.size() - 1));
  user_error([&] { open(folder / "cut.h5"); });
}

TEST(LogFiles, AFlippedBitIsAnErrorOrWithoutEffect) {
  const TemporaryFolder folder;
  const LogSchema schema = full_schema();
  const Journeys written = make_rows(schema, 300, 15);
  std::mt19937_64 random(1);
  for (const Codec codec : {Codec::deflate, Codec::none, Codec::zstd, Codec::lz4}) {
    write_log(folder / "log.h5", schema, written, codec);
    const std::string whole = file_bytes(folder / "log.h5");
    int64_t noticed = 0;
    for (int attempt = 0; attempt < 100; ++attempt) {
      std::string flipped = whole;
      flipped[random() % whole.size()] ^= static_cast<char>(1 << random() % 8);
      std::filesystem::remove(folder / "flipped.h5.index");
      write_bytes(folder / "flipped.h5", flipped);
      try {
        expect_same(read_all(*open(folder / "flipped.h5")), written);
      } catch (const UserError&) {
        ++noticed;
      }
    }
    EXPECT_GT(noticed, 50);
  }
}

TEST(LogFiles, ADamagedChunkIsNamedWithItsRows) {
  const TemporaryFolder folder;
  const LogSchema schema = small_schema();
  write_log(folder / "log.h5", schema, make_rows(schema, 300, 16), Codec::none);
  const FileIndex index = read_file_index(folder / "log.h5");
  std::string bytes = file_bytes(folder / "log.h5");
  bytes[index.sets[kClusterSlot]->chunks[0].address + 9] ^= 4;
  write_bytes(folder / "log.h5", bytes);
  for (const bool skip : {false, true}) {  // damage is not a bad row
    const auto log =
        open(folder / "log.h5", {.on_bad_row = skip ? OnBadRow::skip : OnBadRow::fail});
    expect_contains(user_error([&] { read_all(*log); }),
                    {"log.h5", "/touch/cluster", "rows 0 to", "checksum"});
  }
}

// ---- Index and manifest
// ---------------------------------------------------------------------------

TEST(Sidecar, IsUsedWhereItFitsAndIgnoredWhereItDoesNot) {
  const TemporaryFolder folder;
  const LogSchema schema = full_schema();
  write_log(folder / "log.h5", schema, make_rows(schema, 300, 17));
  const LogOptions options{.index_dir = folder / "index"};
  const Journeys first = read_all(*open(folder / "log.h5", options));
  EXPECT_FALSE(std::filesystem::exists(folder / "log.h5.index"));
  const std::string sidecar = sidecar_path(folder / "log.h5", options.index_dir);
  ASSERT_TRUE(std::filesystem::exists(sidecar));
  expect_same(read_all(*open(folder / "log.h5", options)), first);

  // A damaged one is passed over, and so is one of an earlier file.
  const std::string bytes = file_bytes(sidecar);
  for (size_t at = 0; at < bytes.size(); at += 61) {
    std::string flipped = bytes;
    flipped[at] ^= 1;
    write_bytes(sidecar, flipped);
    expect_same(read_all(*open(folder / "log.h5", options)), first);
  }
  const Journeys later = make_rows(schema, 211, 18);
  write_log(folder / "log.h5", schema, later);
  expect_same(read_all(*open(folder / "log.h5", options)), later);
}

TEST(Sidecar, AFolderThatCannotBeWrittenDoesNoHarm) {
  const TemporaryFolder folder;
  const LogSchema schema = small_schema();
  write_log(folder / "log.h5", schema, make_rows(schema, 30, 19));
  write_bytes(folder / "file", "");
  EXPECT_EQ(open(folder / "log.h5", {.index_dir = folder / "file/index"})->rows(), 30);
}

TEST(Manifest, IsTheSameWhereverTheLogLiesAndOtherForOtherRows) {
  const TemporaryFolder folder;
  const LogSchema schema = small_schema();
  write_log(folder / "a/log.h5", schema, make_rows(schema, 30, 20));
  write_log(folder / "b/other name.h5", schema, make_rows(schema, 30, 20));
  write_log(folder / "c/log.h5", schema, make_rows(schema, 30, 21));
  const std::string hash = open(folder / "a")->manifest_hash();
  EXPECT_EQ(hash.size(), 64u);
  EXPECT_EQ(open(folder / "b")->manifest_hash(), hash);
  EXPECT_NE(open(folder / "c")->manifest_hash(), hash);
}

}  // namespace
}  // namespace alm::io
