#include "engine/model/feature_stats.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/hash.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

// Sums of one column over the rows of one block.
struct Moments {
  double count = 0;
  double missing = 0;
  double sum = 0;
  double squares = 0;
};
constexpr int64_t kMoments = 4;
// Squared errors and weights up to a hundred stay below the 2^60 that a FixedSum takes.
constexpr float kLargestOutcome = 1e8f;

void add(Moments& moments, float value) {
  if (std::isnan(value)) {
    moments.missing += 1;
    return;
  }
  moments.count += 1;
  moments.sum += value;
  moments.squares += static_cast<double>(value) * value;
}

// Moments of every (block, column). Exactly one rank fills a block, so adding ranks adds zeros: the
// sum over blocks then runs in block order on every rank and does not depend on their number.
class BlockMoments {
 public:
  BlockMoments(int64_t blocks, int64_t columns)
      : blocks_(blocks),
        columns_(columns),
        values_(static_cast<size_t>(blocks * columns * kMoments)) {}
  void set(int64_t block, int64_t column, const Moments& moments) {
    double* const at = &values_[static_cast<size_t>((block * columns_ + column) * kMoments)];
    at[0] = moments.count;
    at[1] = moments.missing;
    at[2] = moments.sum;
    at[3] = moments.squares;
  }
  void reduce(Communicator& world) {
    world.all_reduce_sum(std::span(values_), "first pass moments");
  }
  Moments total(int64_t column) const {
    Moments sum;
    for (int64_t block = 0; block < blocks_; ++block) {
      const double* const at =
          &values_[static_cast<size_t>((block * columns_ + column) * kMoments)];
      sum.count += at[0];
      sum.missing += at[1];
      sum.sum += at[2];
      sum.squares += at[3];
    }
    return sum;
  }

 private:
  int64_t blocks_;
  int64_t columns_;
  std::vector<double> values_;
};

double mean_of(const Moments& moments) {
  return moments.count > 0 ? moments.sum / moments.count : 0;
}
double sd_of(const Moments& moments) {
  if (!(moments.count > 0)) return 0;
  const double mean = mean_of(moments);
  const double variance = moments.squares / moments.count - mean * mean;
  // Below the rounding of the sums a column is constant.
  return variance > 1e-12 * mean * mean ? std::sqrt(variance) : 0;
}

ColumnScales scales(const BlockMoments& moments, int64_t first_column, int64_t columns) {
  ColumnScales result;
  for (int64_t column = 0; column < columns; ++column) {
    const Moments total = moments.total(first_column + column);
    const double sd = sd_of(total);
    result.mean.push_back(static_cast<float>(mean_of(total)));
    result.inverse_sd.push_back(sd > 0 ? static_cast<float>(1 / sd) : 0.0f);
    result.missing_slot.push_back(total.missing > 0 ? result.slots++ : -1);
  }
  return result;
}

}  // namespace

BlockRange blocks_of_rank(int64_t blocks, int64_t rank, int64_t ranks) {
  return {blocks * rank / ranks, blocks * (rank + 1) / ranks};
}

FirstPass first_pass(std::shared_ptr<const io::Log> log, const ModelOptions& model,
                     const io::UserFilter& training, const io::UserFilter& validation,
                     const io::UserFilter& scored, int64_t threads, Communicator& world) {
  const io::LogSchema& schema = log->schema();
  const int64_t blocks = static_cast<int64_t>(log->blocks().size());
  const int64_t columns = schema.dense + schema.touch_dense + 2;  // and outcome, weight
  const int64_t outcome_column = columns - 2;
  const int64_t weight_column = columns - 1;

  FirstPass pass;
  pass.stats.schema = schema;
  pass.training_rows.assign(static_cast<size_t>(blocks), 0);
  BlockMoments moments(blocks, columns);
  std::vector<int64_t> item_counts(schema.item ? static_cast<size_t>(model.item_rows) : 0);
  // rows, validation, scored, bad, cut rows, cut touches, observed mediators
  std::vector<int64_t> counts(7);
  int64_t longest = 0;
  float largest_outcome = 0;

  const BlockRange mine = blocks_of_rank(blocks, world.rank(), world.size());
  io::ScanStream::Options options;
  options.first_block = mine.first;
  options.last_block = mine.last;
  options.rows = 4096;
  options.threads = threads;
  options.columns = io::ColumnSet::model();
  io::ScanStream stream(log, options);
  Progress progress("first pass", mine.last - mine.first, "blocks");
  std::vector<Moments> block_moments(static_cast<size_t>(columns));
  int64_t block = 0;
  while (const std::vector<io::Journeys>* batches = stream.next(&block)) {
    std::fill(block_moments.begin(), block_moments.end(), Moments{});
    for (const io::Journeys& journeys : *batches) {
      for (int64_t row = 0; row < journeys.size(); ++row) {
        const size_t at = static_cast<size_t>(row);
        const uint64_t user = journeys.user[at];
        ++counts[0];
        counts[1] += validation(user);
        counts[2] += scored(user);
        const int64_t begin = journeys.touch_begin[at];
        const int64_t end = journeys.touch_begin[at + 1];
        longest = std::max(longest, end - begin);
        if (!training(user)) continue;
        ++pass.training_rows[static_cast<size_t>(block)];
        for (int64_t column = 0; column < schema.dense; ++column) {
          add(block_moments[static_cast<size_t>(column)],
              journeys.dense[static_cast<size_t>(row * schema.dense + column)]);
        }
        for (int64_t touch = begin; touch < end; ++touch) {
          for (int64_t column = 0; column < schema.touch_dense; ++column) {
            add(block_moments[static_cast<size_t>(schema.dense + column)],
                journeys.touch_dense[static_cast<size_t>(touch * schema.touch_dense + column)]);
          }
          if (schema.item) {
            const uint64_t item = journeys.item[static_cast<size_t>(touch)];
            ++item_counts[static_cast<size_t>(table_row(item, 0, model.item_rows))];
          }
          counts[6] += schema.mediator && journeys.mediator[static_cast<size_t>(touch)] <= 1;
        }
        add(block_moments[static_cast<size_t>(outcome_column)], journeys.outcome[at]);
        largest_outcome = std::max(largest_outcome, std::fabs(journeys.outcome[at]));
        add(block_moments[static_cast<size_t>(weight_column)],
            schema.weight ? journeys.weight[at] : 1.0f);
      }
    }
    for (int64_t column = 0; column < columns; ++column) {
      moments.set(block, column, block_moments[static_cast<size_t>(column)]);
    }
    progress.update(block - mine.first + 1);
  }
  progress.finish();
  counts[3] = stream.report().bad_rows;
  counts[4] = stream.report().truncated_rows;
  counts[5] = stream.report().truncated_touches;

  moments.reduce(world);
  world.all_reduce_sum(std::span(pass.training_rows), "first pass rows");
  world.all_reduce_sum(std::span(item_counts), "first pass items");
  world.all_reduce_sum(std::span(counts), "first pass counts");
  world.all_reduce_max(std::span(&longest, 1), "first pass longest");
  world.all_reduce_max(std::span(&largest_outcome, 1), "first pass largest outcome");
  const std::vector<std::string> bad_rows =
      world.all_gather_strings(stream.report().first_bad_row, "first pass bad row");

  pass.rows = counts[0];
  pass.validation_rows = counts[1];
  pass.scored_rows = counts[2];
  pass.report = {counts[0], counts[3], "", counts[4], counts[5]};
  for (const std::string& line : bad_rows) {
    if (pass.report.first_bad_row.empty()) pass.report.first_bad_row = line;
  }
  FeatureStats& stats = pass.stats;
  stats.longest = longest;
  stats.dense = scales(moments, 0, schema.dense);
  stats.touch_dense = scales(moments, schema.dense, schema.touch_dense);
  const Moments outcome = moments.total(outcome_column);
  const Moments weight = moments.total(weight_column);
  if (!(outcome.count > 0)) {
    throw UserError(
        format("the log has no training rows (%lld rows read, %lld held out): lower "
               "--holdout or use a larger log",
               static_cast<long long>(pass.rows), static_cast<long long>(pass.scored_rows)));
  }
  if (!(sd_of(outcome) > 0)) {
    throw UserError(format("/journey/outcome is %g in all %lld training rows: nothing to learn",
                           mean_of(outcome), static_cast<long long>(outcome.count)));
  }
  if (largest_outcome > kLargestOutcome) {
    throw UserError(
        format("/journey/outcome reaches %g: exact sums of squares hold up to %g; divide the "
               "outcome by a constant",
               static_cast<double>(largest_outcome), static_cast<double>(kLargestOutcome)));
  }
  if (counts[6] == 0) {
    throw UserError("/touch/mediator is " +
                    std::string(schema.mediator ? "never observed (all 255)" : "absent") +
                    ": --mediator observed needs it");
  }
  pass.mean_weight = mean_of(weight);
  if (schema.outcome == io::OutcomeKind::continuous) {
    stats.outcome_mean = mean_of(outcome);
    stats.outcome_sd = sd_of(outcome);
  }
  for (const int64_t count : item_counts) {
    stats.item_admitted.push_back(count >= model.item_admission);
  }
  return pass;
}

}  // namespace alm
