// Logs for the tests of reading and writing: every column, odd shapes, and a folder that cleans
// itself up.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "io/log_reader.h"
#include "io/log_writer.h"
#include "io/schema.h"
#include "kernels/base/check.h"

namespace alm::io {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "alm-log-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

inline std::string file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline LogSchema full_schema() {
  LogSchema schema;
  schema.clusters = 7;
  schema.dense = 3;
  schema.cat = 2;
  schema.touch_dense = 2;
  schema.touch_cat = 1;
  schema.proxies = 3;
  for_each_column([&](const auto& column) {
    if (column.present != nullptr) schema.*column.present = true;
  });
  schema.dense_names = {"age", "größe", ""};
  schema.cluster_names = {"a", "b", "c", "d", "e", "f", "a longer name, with a comma"};
  schema.proxy_leaky = {0, 0, 1};
  return schema;
}

inline LogSchema small_schema() {
  LogSchema schema;
  schema.clusters = 3;
  return schema;
}

// Valid rows; journeys without touches among them, NaN where it is allowed.
inline Journeys make_rows(const LogSchema& schema, int64_t rows, uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t bound) { return random() % bound; };
  const auto real = [&] { return static_cast<float>(below(2000)) / 100 - 10; };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Journeys out;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t start = 1700000000000 + static_cast<int64_t>(below(1000000000));
    const bool upload = below(4) == 0;
    out.row.push_back(row);
    out.user.push_back(random());
    if (schema.time) out.time.push_back(start);
    out.outcome.push_back(schema.outcome == OutcomeKind::binary ? upload : real());
    if (schema.outcome_time) out.outcome_time.push_back(upload ? start + 5000 : -1);
    if (schema.weight) out.weight.push_back(upload ? 1 : 2.5f);
    for (int64_t i = 0; i < schema.dense; ++i) out.dense.push_back(below(9) == 0 ? nan : real());
    for (int64_t i = 0; i < schema.cat; ++i) out.cat.push_back(static_cast<int64_t>(random()));
    if (schema.truth) {
      out.p_do.push_back(real());
      out.p_none.push_back(real());
    }
    const int64_t touches = schema.is_arm_log() ? 1 : static_cast<int64_t>(below(9));
    for (int64_t touch = 0; touch < touches; ++touch) {
      const int64_t time = start - 1000 * (touches - touch);
      out.cluster.push_back(static_cast<uint32_t>(below(static_cast<uint64_t>(schema.clusters))));
      if (schema.item) out.item.push_back(random());
      if (schema.touch_time) out.touch_time.push_back(time);
      for (int64_t i = 0; i < schema.touch_dense; ++i) out.touch_dense.push_back(real());
      for (int64_t i = 0; i < schema.touch_cat; ++i) {
        out.touch_cat.push_back(-static_cast<int64_t>(below(50)));
      }
      const uint8_t seen = static_cast<uint8_t>(below(3) == 2 ? 255 : below(2));
      if (schema.mediator) out.mediator.push_back(seen);
      if (schema.mediator_time) out.mediator_time.push_back(seen == 1 ? time + 10 : -1);
      for (int64_t i = 0; i < schema.proxies; ++i) {
        out.proxy.push_back(static_cast<uint8_t>(below(2)));
      }
      if (schema.match) out.match.push_back(upload ? real() : nan);
      if (schema.propensity) out.propensity.push_back(static_cast<float>(below(100)) / 100);
      if (schema.randomised) out.randomised.push_back(static_cast<uint8_t>(below(2)));
      if (schema.truth) {
        out.delta_do.push_back(real());
        out.delta_ett.push_back(nan);
        if (schema.removal_truth) out.delta_removal.push_back(real());
      }
    }
    out.touch_begin.push_back(out.touch_begin.back() + touches);
  }
  return out;
}

inline void write_log(const std::string& path, const LogSchema& schema, const Journeys& rows,
                      Codec codec = Codec::deflate) {
  LogWriter writer(path, schema, rows.size(), codec);
  writer.append(rows);
  writer.finish();
}

inline Journeys read_all(const Log& log, const ColumnSet& columns = ColumnSet::all(),
                         ReadReport* report = nullptr) {
  Journeys all;
  Journeys block;
  for (size_t number = 0; number < log.blocks().size(); ++number) {
    const ReadReport part = log.read_block(static_cast<int64_t>(number), columns, block);
    for (int64_t row = 0; row < block.size(); ++row) all.append(block, row, log.schema());
    if (report == nullptr) continue;
    report->rows += part.rows;
    report->bad_rows += part.bad_rows;
    if (report->first_bad_row.empty()) report->first_bad_row = part.first_bad_row;
    report->truncated_rows += part.truncated_rows;
    report->truncated_touches += part.truncated_touches;
  }
  return all;
}

// Bit for bit, so that NaN equals itself.
inline void expect_same(const Journeys& a, const Journeys& b) {
  EXPECT_EQ(a.row, b.row);
  EXPECT_EQ(a.touch_begin, b.touch_begin);
  for_each_column([&](const auto& column) {
    const auto& left = a.*column.values;
    const auto& right = b.*column.values;
    ASSERT_EQ(left.size(), right.size()) << column.path;
    EXPECT_TRUE(left.empty() ||
                std::memcmp(left.data(), right.data(), left.size() * sizeof(left[0])) == 0)
        << column.path;
  });
}

// The message of the UserError that `action` must throw; it has to be one line.
template <class Action>
std::string user_error(Action action) {
  try {
    action();
  } catch (const UserError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no UserError was thrown";
  return "";
}

}  // namespace alm::io
