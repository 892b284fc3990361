#include "engine/train/log_survey.h"

#include <algorithm>
#include <cmath>

namespace alm {
namespace {

// Of the blocks that one thread read.
struct Findings {
  explicit Findings(const io::LogSchema& schema, size_t fits)
      : dense_missing(static_cast<size_t>(schema.dense)),
        touch_dense_missing(static_cast<size_t>(schema.touch_dense)),
        fit_rows(fits) {}
  std::vector<uint8_t> dense_missing;  // [columns] 1: a value is
  std::vector<uint8_t> touch_dense_missing;
  std::vector<int64_t> fit_rows;
  int64_t validation_rows = 0, scored_rows = 0, rows = 0, bytes = 0, longest = 0;

  void add(const io::Journeys& journeys, const FitPlan& plan) {
    rows += journeys.size();
    const io::Journeys packed = journeys;  // without the room that a reader keeps
    bytes += packed.bytes();
    for (int64_t row = 0; row < journeys.size(); ++row) {
      const uint64_t user = journeys.user[static_cast<size_t>(row)];
      longest = std::max(longest, journeys.touches_of(row));
      scored_rows += plan.scored(user);
      validation_rows += plan.fits[0].validation(user);
      for (size_t fit = 0; fit < fit_rows.size(); ++fit) {
        fit_rows[fit] += plan.fits[fit].training(user);
      }
      if (!plan.statistics(user)) continue;  // as the first pass has it
      const size_t first = static_cast<size_t>(journeys.touch_begin[static_cast<size_t>(row)]);
      mark_missing(journeys.dense, static_cast<size_t>(row), 1, dense_missing);
      mark_missing(journeys.touch_dense, first, static_cast<size_t>(journeys.touches_of(row)),
                   touch_dense_missing);
    }
  }
  void add(const Findings& other) {
    for (size_t at = 0; at < dense_missing.size(); ++at)
      dense_missing[at] |= other.dense_missing[at];
    for (size_t at = 0; at < touch_dense_missing.size(); ++at) {
      touch_dense_missing[at] |= other.touch_dense_missing[at];
    }
    for (size_t fit = 0; fit < fit_rows.size(); ++fit) fit_rows[fit] += other.fit_rows[fit];
    validation_rows += other.validation_rows;
    scored_rows += other.scored_rows;
    rows += other.rows;
    bytes += other.bytes;
    longest = std::max(longest, other.longest);
  }

 private:
  // Of rows [first, first + count).
  static void mark_missing(const std::vector<float>& values, size_t first, size_t count,
                           std::vector<uint8_t>& missing) {
    const size_t width = missing.size();
    for (size_t at = first * width; at < (first + count) * width; ++at) {
      if (std::isnan(values[at])) missing[at % width] = 1;
    }
  }
};

ColumnScales scales_of(const std::vector<uint8_t>& missing) {
  ColumnScales scales;
  for (const uint8_t misses : missing) {
    scales.mean.push_back(0);
    scales.inverse_sd.push_back(1);
    scales.missing_slot.push_back(misses != 0 ? scales.slots++ : -1);
  }
  return scales;
}

}  // namespace

LogSurvey survey_log(const io::Log& log, const TrainOptions& options, const FitPlan& plan,
                     ThreadPool& pool) {
  check_mediator_mode(options.model, log.schema());
  const int64_t blocks = std::ssize(log.blocks());
  const int64_t read = std::min(blocks, kSurveyedBlocks);
  if (read == 0) throw UserError("the log has no rows: there is nothing to plan");
  std::vector<Findings> of_thread(static_cast<size_t>(pool.threads()),
                                  Findings(log.schema(), plan.fits.size()));
  int64_t rows_of_blocks = 0;
  for (int64_t at = 0; at < read; ++at) {
    rows_of_blocks += log.blocks()[static_cast<size_t>(at * blocks / read)].rows;
  }
  pool.parallel_for(read, [&](int64_t at, int64_t thread) {
    io::Journeys journeys;
    log.read_block(at * blocks / read, model_columns(options.model), journeys);
    of_thread[static_cast<size_t>(thread)].add(journeys, plan);
  });
  Findings& all = of_thread.front();
  for (size_t thread = 1; thread < of_thread.size(); ++thread) all.add(of_thread[thread]);

  // Of the whole log.
  const auto of_log = [&](int64_t count) {
    return std::llround(static_cast<double>(count) * static_cast<double>(log.rows()) /
                        static_cast<double>(rows_of_blocks));
  };
  LogSurvey survey;
  auto stats = std::make_shared<FeatureStats>();
  stats->schema = log.schema();
  stats->dense = scales_of(all.dense_missing);
  stats->touch_dense = scales_of(all.touch_dense_missing);
  stats->longest = all.longest;
  survey.stats = stats;
  for (const int64_t rows : all.fit_rows) survey.fit_rows.push_back(of_log(rows));
  survey.validation_rows = of_log(all.validation_rows);
  survey.scored_rows = of_log(all.scored_rows);
  survey.journey_bytes =
      static_cast<double>(all.bytes) / static_cast<double>(std::max<int64_t>(all.rows, 1));
  survey.blocks_read = read;
  if (survey.fit_rows.front() == 0) {
    throw UserError("the log has no training rows: lower --holdout or use a larger log");
  }
  return survey;
}

}  // namespace alm
