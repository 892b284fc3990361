// Means and spreads of the first pass against two passes over the same values.
#include "engine/model/feature_stats.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/model/model_options.h"
#include "io/log_writer.h"
#include "kernels/base/check.h"
#include "kernels/base/rng.h"
#include "tests/io/log_cases.h"

namespace alm {
namespace {

constexpr int64_t kRows = 2503;

// A log whose first dense column is `column(row)`, of several blocks.
struct SmallLog {
  explicit SmallLog(const std::function<float(int64_t)>& column, float weight = 1) {
    io::LogSchema schema;
    schema.clusters = 3;
    schema.block_rows = 256;
    schema.dense = 1;
    schema.mediator = schema.weight = true;
    io::Journeys rows;
    for (int64_t row = 0; row < kRows; ++row) {
      rows.row.push_back(row);
      rows.user.push_back(static_cast<uint64_t>(row));
      rows.outcome.push_back(static_cast<float>(row % 2));
      rows.weight.push_back(weight);
      rows.dense.push_back(column(row));
      rows.cluster.push_back(static_cast<uint32_t>(row % 3));
      rows.mediator.push_back(static_cast<uint8_t>(row % 2));
      rows.touch_begin.push_back(row + 1);
    }
    io::LogWriter writer(folder / io::log_file_name(0), schema, kRows, io::Codec::deflate);
    writer.append(rows);
    writer.finish();
  }
  FirstPass pass() const {
    const std::unique_ptr<Communicator> world = make_self_communicator();
    const io::UserFilter all[] = {[](uint64_t) { return true; }};
    return first_pass(io::Log::open({folder.path()}, {}), model_options_by_name("tiny"), all,
                      all[0], 1, *world);
  }
  io::TemporaryFolder folder;
};

void expect_spread(const std::function<float(int64_t)>& column) {
  double mean = 0;
  for (int64_t row = 0; row < kRows; ++row) mean += static_cast<double>(column(row)) / kRows;
  double squares = 0;
  for (int64_t row = 0; row < kRows; ++row) {
    squares += (column(row) - mean) * (column(row) - mean);
  }
  const ColumnScales scales = SmallLog(column).pass().stats.dense;
  const double sd = std::sqrt(squares / kRows);
  EXPECT_FLOAT_EQ(scales.mean[0], static_cast<float>(mean));
  EXPECT_NEAR(scales.inverse_sd[0] * sd, 1, 1e-6);
}

TEST(FirstPass, TellsTheSpreadOfAnOrdinaryColumn) {
  expect_spread([](int64_t row) {
    return static_cast<float>(Rng(1, Stream::test, static_cast<uint64_t>(row)).normal());
  });
}

TEST(FirstPass, TellsTheSpreadOfTimesInUnixMilliseconds) {
  // A float holds such a time to 131 s; a quarter of an hour is a millionth of it.
  const float unit = 131072;
  for (const int steps : {2, 7, 100000}) {
    expect_spread(
        [&](int64_t row) { return 1.7e12f + unit * static_cast<float>((row * 7919) % steps); });
  }
}

TEST(FirstPass, TellsTheSpreadOfAColumnWithOneOutlierInFront) {
  expect_spread([](int64_t row) { return row == 0 ? 1e6f : static_cast<float>(row % 11); });
}

TEST(FirstPass, CallsAColumnConstantOnlyWhenItIs) {
  for (const float value : {0.0f, 0.1f, -3e-30f, 1.7e12f, 3e37f}) {
    const ColumnScales scales = SmallLog([&](int64_t) { return value; }).pass().stats.dense;
    EXPECT_EQ(scales.inverse_sd[0], 0) << value;
    EXPECT_EQ(scales.mean[0], value);
  }
}

TEST(FirstPass, KeepsAColumnOfTinyDifferencesFinite) {
  const ColumnScales scales =
      SmallLog([](int64_t row) { return row % 2 == 0 ? 0.0f : 1e-44f; }).pass().stats.dense;
  EXPECT_TRUE(std::isfinite(scales.inverse_sd[0]));
}

TEST(FirstPass, RefusesALogOfWeightsZero) {
  const auto column = [](int64_t row) { return static_cast<float>(row); };
  EXPECT_NO_THROW(SmallLog(column, 0.5f).pass());
  try {
    SmallLog(column, 0).pass();
    FAIL();
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("/journey/weight is 0"), std::string::npos);
  }
}

}  // namespace
}  // namespace alm
