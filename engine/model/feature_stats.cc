#include "engine/model/feature_stats.h"

#include <algorithm>
#include <cmath>

#include "engine/model/scan.h"
#include "kernels/base/hash.h"
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
                     std::span<const io::UserFilter> fits, const io::UserFilter& scored,
                     int64_t threads, Communicator& world) {
  const io::LogSchema& schema = log->schema();
  const int64_t blocks = static_cast<int64_t>(log->blocks().size());
  const int64_t columns = schema.dense + schema.touch_dense + 1;  // and the outcome
  const int64_t outcome_column = columns - 1;

  FirstPass pass;
  pass.stats.schema = schema;
  pass.fit_rows.assign(fits.size(), std::vector<int64_t>(static_cast<size_t>(blocks)));
  BlockMoments moments(blocks, columns);
  std::vector<int64_t> item_counts(schema.item ? static_cast<size_t>(model.item_rows) : 0);
  int64_t counts[2] = {0, 0};  // scored rows, observed mediators of training rows
  int64_t longest = 0;
  float largest_outcome = 0;

  std::vector<Moments> block_moments(static_cast<size_t>(columns));
  const auto add_row = [&](const io::Journeys& journeys, int64_t row) {
    const size_t at = static_cast<size_t>(row);
    for (int64_t column = 0; column < schema.dense; ++column) {
      add(block_moments[static_cast<size_t>(column)],
          journeys.dense[static_cast<size_t>(row * schema.dense + column)]);
    }
    for (int64_t touch = journeys.touch_begin[at]; touch < journeys.touch_begin[at + 1]; ++touch) {
      for (int64_t column = 0; column < schema.touch_dense; ++column) {
        add(block_moments[static_cast<size_t>(schema.dense + column)],
            journeys.touch_dense[static_cast<size_t>(touch * schema.touch_dense + column)]);
      }
      if (schema.item) {
        const uint64_t item = journeys.item[static_cast<size_t>(touch)];
        ++item_counts[static_cast<size_t>(table_row(item, 0, model.item_rows))];
      }
      counts[1] += schema.mediator && journeys.mediator[static_cast<size_t>(touch)] <= 1;
    }
    add(block_moments[static_cast<size_t>(outcome_column)], journeys.outcome[at]);
    largest_outcome = std::max(largest_outcome, std::fabs(journeys.outcome[at]));
  };
  const io::ReadReport mine =
      scan_blocks(log, threads, world, {}, io::ColumnSet::model(), "first pass",
                  [&](int64_t block, const std::vector<io::Journeys>& batches) {
                    std::fill(block_moments.begin(), block_moments.end(), Moments{});
                    for (const io::Journeys& journeys : batches) {
                      for (int64_t row = 0; row < journeys.size(); ++row) {
                        const uint64_t user = journeys.user[static_cast<size_t>(row)];
                        counts[0] += scored(user);
                        longest = std::max(longest, journeys.touches_of(row));
                        for (size_t fit = 0; fit < fits.size(); ++fit) {
                          pass.fit_rows[fit][static_cast<size_t>(block)] += fits[fit](user);
                        }
                        if (fits[0](user)) add_row(journeys, row);
                      }
                    }
                    for (int64_t column = 0; column < columns; ++column) {
                      moments.set(block, column, block_moments[static_cast<size_t>(column)]);
                    }
                  });

  moments.reduce(world);
  for (std::vector<int64_t>& rows : pass.fit_rows) {
    world.all_reduce_sum(std::span(rows), "first pass rows");
  }
  world.all_reduce_sum(std::span(item_counts), "first pass items");
  world.all_reduce_sum(std::span<int64_t>(counts), "first pass counts");
  world.all_reduce_max(std::span(&longest, 1), "first pass longest");
  world.all_reduce_max(std::span(&largest_outcome, 1), "first pass largest outcome");

  pass.report = sum_over_ranks(mine, world);
  pass.rows = pass.report.rows;
  pass.scored_rows = counts[0];
  FeatureStats& stats = pass.stats;
  stats.longest = longest;
  stats.dense = scales(moments, 0, schema.dense);
  stats.touch_dense = scales(moments, schema.dense, schema.touch_dense);
  const Moments outcome = moments.total(outcome_column);
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
  if (counts[1] == 0) {
    throw UserError("/touch/mediator is " +
                    std::string(schema.mediator ? "never observed (all 255)" : "absent") +
                    ": --mediator observed needs it");
  }
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
