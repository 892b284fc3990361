#include "io/log_writer.h"

#include <algorithm>
#include <array>
#include <type_traits>

#include "io/hdf5_writer.h"
#include "io/schema.h"
#include "kernels/base/check.h"

namespace alm::io {

namespace {

// Rows are handed to the file in runs that begin at multiples of this, so that the bytes of a file
// do not depend on how its rows were cut into calls of append().
constexpr int64_t kStageRows = 4096;
// Touches a journey has at most on average, for choosing the size of chunks.
constexpr int64_t kExpectedTouches = 64;

template <class T>
constexpr ValueType value_type() {
  if constexpr (std::is_same_v<T, uint8_t>) return ValueType::u8;
  if constexpr (std::is_same_v<T, uint32_t>) return ValueType::u32;
  if constexpr (std::is_same_v<T, uint64_t>) return ValueType::u64;
  if constexpr (std::is_same_v<T, int64_t>) return ValueType::i64;
  if constexpr (std::is_same_v<T, float>) return ValueType::f32;
}

}  // namespace

class LogWriter::Impl {
 public:
  Impl(const std::string& path, const LogSchema& schema, int64_t rows, Codec codec)
      : file_(path, codec), schema_(schema), rows_(rows) {
    ALM_CHECK(rows >= 0 && schema.clusters > 0);
    if (schema_.block_rows == 0) schema_.block_rows = kBlockRows;
    file_.attribute("alm_schema", "alm-log/1");
    file_.attribute("clusters", schema_.clusters);
    file_.attribute("block_rows", schema_.block_rows);
    if (schema_.reference_cluster) {
      file_.attribute("reference_cluster", *schema_.reference_cluster);
    }
    for_each_name_list([&](const char* list, auto names, auto width) {
      const std::vector<std::string>& values = schema_.*names;
      if (values.empty()) return;
      ALM_CHECK(static_cast<int64_t>(values.size()) == schema_.*width, "%s has %zu names", list,
                values.size());
      file_.texts(list, values);
    });
    if (!schema_.proxy_leaky.empty()) {
      ALM_CHECK(static_cast<int64_t>(schema_.proxy_leaky.size()) == schema_.proxies);
      file_.bytes("/meta/proxy_leaky", schema_.proxy_leaky);
    }
    numbers_[kTouchBeginSlot] =
        file_.add({.path = kTouchBeginPath, .type = ValueType::u64, .rows = rows + 1});
    for_each_column([&](const auto& column) {
      const int64_t width = column.width(schema_);
      if (width == 0) return;
      using T = typename std::decay_t<decltype(staged_.*column.values)>::value_type;
      ColumnPlan plan{.path = column.path,
                      .type = value_type<T>(),
                      .width = width,
                      .matrix = column.is_matrix(),
                      .expected_rows = rows * kExpectedTouches,
                      .shuffle = !column.mostly_one_value};
      if (column.scope == Scope::journey) {
        plan.rows = rows;
        plan.round_rows = schema_.block_rows;
      }
      if (column.slot == kOutcomeSlot && schema_.outcome == OutcomeKind::binary) {
        plan.type = ValueType::u8;
      }
      numbers_[static_cast<size_t>(column.slot)] = file_.add(plan);
    });
    const uint64_t zero = 0;
    file_.append(numbers_[kTouchBeginSlot], std::as_bytes(std::span(&zero, 1)));
  }

  void append(const Journeys& journeys) {
    check_widths(journeys);
    for (int64_t first = 0; first < journeys.size();) {
      const int64_t last =
          std::min(journeys.size(), first + kStageRows - static_cast<int64_t>(staged_.size()));
      stage(journeys, first, last);
      first = last;
      if (staged_.size() == kStageRows) hand_over();
    }
  }

  void finish() {
    hand_over();
    ALM_CHECK(rows_written_ == rows_, "%lld rows of %lld announced",
              static_cast<long long>(rows_written_), static_cast<long long>(rows_));
    file_.finish();
  }

 private:
  void check_widths(const Journeys& journeys) const {
    for_each_column([&](const auto& column) {
      const int64_t rows = column.scope == Scope::journey ? journeys.size() : journeys.touches();
      ALM_CHECK(
          static_cast<int64_t>((journeys.*column.values).size()) == rows * column.width(schema_),
          "%s has %zu values for %lld rows", column.path, (journeys.*column.values).size(),
          static_cast<long long>(rows));
    });
    ALM_CHECK(static_cast<int64_t>(journeys.touch_begin.size()) == journeys.size() + 1 &&
              journeys.touch_begin.front() == 0);
  }

  void stage(const Journeys& from, int64_t first, int64_t last) {
    const int64_t begin = from.touch_begin[static_cast<size_t>(first)];
    const int64_t end = from.touch_begin[static_cast<size_t>(last)];
    const int64_t shift = staged_.touches() - begin;
    for_each_column([&](const auto& column) {
      const int64_t width = column.width(schema_);
      const auto& source = from.*column.values;
      auto& target = staged_.*column.values;
      const bool journey = column.scope == Scope::journey;
      target.insert(target.end(), source.begin() + (journey ? first : begin) * width,
                    source.begin() + (journey ? last : end) * width);
    });
    for (int64_t row = first; row < last; ++row) {
      staged_.touch_begin.push_back(from.touch_begin[static_cast<size_t>(row) + 1] + shift);
    }
  }

  void hand_over() {
    rows_written_ += staged_.size();
    ALM_CHECK(rows_written_ <= rows_, "more rows than the %lld announced",
              static_cast<long long>(rows_));
    offsets_.clear();
    for (size_t row = 1; row < staged_.touch_begin.size(); ++row) {
      offsets_.push_back(static_cast<uint64_t>(touches_written_ + staged_.touch_begin[row]));
    }
    file_.append(numbers_[kTouchBeginSlot], std::as_bytes(std::span(offsets_)));
    touches_written_ += staged_.touches();
    for_each_column([&](const auto& column) {
      if (column.width(schema_) == 0) return;
      const int64_t number = numbers_[static_cast<size_t>(column.slot)];
      if (column.slot == kOutcomeSlot && schema_.outcome == OutcomeKind::binary) {
        outcomes_.assign(staged_.outcome.begin(), staged_.outcome.end());
        file_.append(number, std::as_bytes(std::span(outcomes_)));
      } else {
        file_.append(number, std::as_bytes(std::span(staged_.*column.values)));
      }
    });
    staged_.clear();
  }

  Hdf5Writer file_;
  LogSchema schema_;
  int64_t rows_;
  int64_t rows_written_ = 0;
  int64_t touches_written_ = 0;
  std::array<int64_t, kSlots> numbers_{};
  Journeys staged_;
  std::vector<uint64_t> offsets_;
  std::vector<uint8_t> outcomes_;
};

LogWriter::LogWriter(const std::string& path, const LogSchema& schema, int64_t rows, Codec codec)
    : impl_(std::make_unique<Impl>(path, schema, rows, codec)) {}
LogWriter::~LogWriter() = default;
void LogWriter::append(const Journeys& journeys) {
  impl_->append(journeys);
}
void LogWriter::finish() {
  impl_->finish();
}

std::string log_file_name(int64_t file) {
  return format("part-%05lld.h5", static_cast<long long>(file));
}

}  // namespace alm::io
