// The writer of attributions by itself: bytes do not depend on cuts, floats read back, parts are
// whole or refused.
#include "io/attribution_writer.h"

#include <charconv>
#include <limits>

#include "log_cases.h"

namespace alm::io {
namespace {

std::vector<AttributionRow> make_rows(size_t count) {
  std::mt19937_64 random(5);
  std::normal_distribution<float> normal;
  std::vector<AttributionRow> rows(count);
  for (size_t at = 0; at < count; ++at) {
    rows[at] = {.row = static_cast<int64_t>(at / 3),
                .user = random(),
                .position = static_cast<uint32_t>(at % 3),
                .cluster = static_cast<uint32_t>(random()),
                .do_effect = normal(random),
                .ett = 1e-20f * normal(random),
                .credit = 1e20f * normal(random),
                .share = normal(random)};
  }
  return rows;
}

const std::vector<std::string> kNoNames;  // of clusters; writers refer to theirs

// Appends in runs of 1, 2, 3, ... times `run` rows.
void append_in_runs(AttributionWriter& writer, std::span<const AttributionRow> rows, size_t run) {
  for (size_t length = run; !rows.empty(); length += run) {
    const size_t take = std::min(length, rows.size());
    writer.append(rows.first(take));
    rows = rows.subspan(take);
  }
}

TEST(AttributionWriter, BytesDoNotDependOnHowRowsAreAppended) {
  const TemporaryFolder folder;
  for (const std::string ending : {".csv", ".h5"}) {
    for (const size_t count : {0, 1, 4096, 300007}) {
      const std::vector<AttributionRow> rows = make_rows(count);
      std::string first;
      for (const size_t run : {size_t{1}, size_t{1000}, size_t{1000000}}) {
        const std::string path = folder / ("deep/er/rows" + ending);
        const auto writer =
            make_attribution_writer(path, 400000, "shapley", {{"note", "text"}}, kNoNames);
        append_in_runs(*writer, rows, run);
        writer->finish();
        const std::string bytes = file_bytes(path);
        if (first.empty()) first = bytes;
        EXPECT_TRUE(bytes == first) << ending << ", " << count << " rows in runs of " << run;
      }
    }
  }
}

TEST(AttributionWriter, NumbersOfCsvReadBackToTheSameFloats) {
  const TemporaryFolder folder;
  std::vector<AttributionRow> rows = make_rows(999);
  rows[0] = {.row = std::numeric_limits<int64_t>::max(),
             .user = std::numeric_limits<uint64_t>::max(),
             .position = 0,
             .cluster = std::numeric_limits<uint32_t>::max(),
             .do_effect = std::numeric_limits<float>::lowest(),
             .ett = std::numeric_limits<float>::denorm_min(),
             .credit = -0.1f,
             .share = std::nextafter(1.0f, 2.0f)};
  const std::string path = folder / "rows.csv";
  const auto writer = make_attribution_writer(path, 999, "shapley", {}, kNoNames);
  writer->append(rows);
  writer->finish();
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line, "row,user,position,cluster,do,ett,shapley,share");
  for (const AttributionRow& row : rows) {
    ASSERT_TRUE(std::getline(file, line));
    AttributionRow read;
    const char* at = line.data();
    const char* const end = at + line.size();
    const auto take = [&](auto& value) { at = std::from_chars(at, end, value).ptr + 1; };
    take(read.row), take(read.user), take(read.position), take(read.cluster);
    take(read.do_effect), take(read.ett), take(read.credit), take(read.share);
    EXPECT_EQ(at, end + 1) << line;
    EXPECT_TRUE(read == row) << line;
  }
  EXPECT_FALSE(std::getline(file, line));
}

TEST(AttributionWriter, ClusterNamesAreQuotedWhereCsvWantsIt) {
  const TemporaryFolder folder;
  const std::vector<std::string> names = {"mail", "search, brand", "the \"fb\"", "two\nlines",
                                          std::string(size_t{3} << 20, 'x')};
  const std::string path = folder / "rows.csv";
  std::vector<AttributionRow> rows;
  for (uint32_t cluster = 0; cluster < names.size(); ++cluster)
    rows.push_back({.cluster = cluster});
  const auto writer = make_attribution_writer(path, 5, "shapley", {}, names);
  writer->append(rows);
  writer->finish();
  EXPECT_EQ(file_bytes(path),
            "row,user,position,cluster,do,ett,shapley,share,cluster_name\n"
            "0,0,0,0,0,0,0,0,mail\n0,0,0,1,0,0,0,0,\"search, brand\"\n"
            "0,0,0,2,0,0,0,0,\"the \"\"fb\"\"\"\n0,0,0,3,0,0,0,0,\"two\nlines\"\n"
            "0,0,0,4,0,0,0,0," +
                names.back() + "\n");
}

TEST(AttributionWriter, AnUnfinishedFileLeavesNothing) {
  const TemporaryFolder folder;
  for (const std::string name : {"rows.csv", "rows.h5"}) {
    make_attribution_writer(folder / name, 10, "shapley", {}, kNoNames)->append(make_rows(10));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(AttributionWriter, OtherEndingsAreRefused) {
  for (const std::string name : {"rows", "rows.txt", "rows.csv.gz", "h5"}) {
    EXPECT_NE(user_error([&] { check_attribution_path(name); }).find(name), std::string::npos);
  }
  check_attribution_path("a.csv");
  check_attribution_path("a.h5");
}

TEST(AttributionPart, GivesItsRowsBackInOrderAndIsGoneWithItsOwner) {
  const TemporaryFolder folder;
  const std::string path = folder / "rows.csv.part-1";
  for (const size_t count : {0, 1, 8191, 8192, 8193, 40000}) {
    const std::vector<AttributionRow> rows = make_rows(count);
    AttributionPart part(path);
    part.append(std::span(rows).first(count / 2));
    part.append(std::span(rows).subspan(count / 2));
    part.close();
    std::vector<AttributionRow> read;
    const auto keep = [&](std::span<const AttributionRow> run) {
      read.insert(read.end(), run.begin(), run.end());
    };
    read_attribution_part(path, static_cast<int64_t>(count), keep);
    EXPECT_TRUE(read == rows) << count;
    const auto ignore = [](std::span<const AttributionRow>) {};
    EXPECT_THROW(read_attribution_part(path, static_cast<int64_t>(count) + 1, ignore),
                 MachineError);
    if (count > 0) {
      EXPECT_THROW(read_attribution_part(path, static_cast<int64_t>(count) - 1, ignore),
                   MachineError);
      std::filesystem::resize_file(path, count * sizeof(AttributionRow) - 1);
      EXPECT_THROW(read_attribution_part(path, static_cast<int64_t>(count), ignore), MachineError);
    }
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_THROW(read_attribution_part(path, 0, [](std::span<const AttributionRow>) {}),
               MachineError);
}

}  // namespace
}  // namespace alm::io
