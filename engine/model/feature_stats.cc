#include "engine/model/feature_stats.h"

#include <algorithm>
#include <cmath>

#include "engine/model/scan.h"
#include "kernels/base/hash.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

// Sums of one column over the rows of one block, of the differences from its first value: without
// that shift the square of a large mean (times in unix ms) swallows the variance.
struct Moments {
  double count = 0;
  double missing = 0;
  double shift = 0;
  double sum = 0;
  double squares = 0;
};
constexpr int64_t kMoments = 5;

// Moments of a column: mean and sum of squared differences from it.
struct Spread {
  double count = 0;
  double missing = 0;
  double mean = 0;
  double squares = 0;

  // Population standard deviation; exactly 0 for a constant column.
  double sd() const { return count > 0 ? std::sqrt(squares / count) : 0; }
  // Chan, Golub and LeVeque's pairwise update.
  void add(const Moments& block) {
    missing += block.missing;
    if (!(block.count > 0)) return;
    const double offset = block.sum / block.count;  // of the block's mean from its shift
    const double inside = std::max(block.squares - block.sum * offset, 0.0);
    const double apart = block.shift + offset - mean;
    const double both = count + block.count;
    squares += inside + (count > 0 ? apart * apart * count * block.count / both : 0);
    mean = count > 0 ? mean + apart * block.count / both : block.shift + offset;
    count = both;
  }
};
// Squared errors and weights up to a hundred stay below the 2^60 that a FixedSum takes.
constexpr float kLargestOutcome = 1e8f;

void add(Moments& moments, float value) {
  if (std::isnan(value)) {
    moments.missing += 1;
    return;
  }
  if (moments.count == 0) moments.shift = value;
  const double difference = value - moments.shift;
  moments.count += 1;
  moments.sum += difference;
  moments.squares += difference * difference;
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
    at[2] = moments.shift;
    at[3] = moments.sum;
    at[4] = moments.squares;
  }
  void reduce(Communicator& world) {
    world.all_reduce_sum(std::span(values_), "first pass moments");
  }
  Spread total(int64_t column) const {
    Spread spread;
    for (int64_t block = 0; block < blocks_; ++block) {
      const double* const at =
          &values_[static_cast<size_t>((block * columns_ + column) * kMoments)];
      spread.add({at[0], at[1], at[2], at[3], at[4]});
    }
    return spread;
  }

 private:
  int64_t blocks_;
  int64_t columns_;
  std::vector<double> values_;
};

ColumnScales scales(const BlockMoments& moments, int64_t first_column, int64_t columns) {
  ColumnScales result;
  for (int64_t column = 0; column < columns; ++column) {
    const Spread total = moments.total(first_column + column);
    const float inverse = static_cast<float>(1 / total.sd());
    result.mean.push_back(static_cast<float>(total.mean));
    result.inverse_sd.push_back(std::isfinite(inverse) ? inverse : 0.0f);
    result.missing_slot.push_back(total.missing > 0 ? result.slots++ : -1);
  }
  return result;
}

}  // namespace

BlockRange blocks_of_rank(int64_t blocks, int64_t rank, int64_t ranks) {
  return {blocks * rank / ranks, blocks * (rank + 1) / ranks};
}

io::ColumnSet model_columns(const ModelOptions& model) {
  io::ColumnSet columns = io::ColumnSet::model();
  columns.mediator = !model.proxy_mode();
  columns.match = model.proxy_mode();
  columns.proxy = model.proxy_mode() && model.proxy_input != ProxyInput::none;
  return columns;
}

void check_mediator_mode(const ModelOptions& model, const io::LogSchema& schema) {
  if (!model.proxy_mode()) return;
  if (schema.is_arm_log()) {
    throw UserError(
        "--mediator proxy is for sequence logs; this is an arm log (reference_cluster)");
  }
  if (schema.outcome != io::OutcomeKind::binary) {
    throw UserError(
        "--mediator proxy needs an outcome of 0 and 1 (upload or none); /journey/outcome holds "
        "values");
  }
  if (!schema.match) {
    throw UserError(
        "/touch/match is absent: --mediator proxy learns its code from it (the similarity of a "
        "touch and the upload, NaN without upload)");
  }
  if (model.proxy_input == ProxyInput::none) return;
  if (schema.proxies == 0) {
    throw UserError("/touch/proxy is absent: use --proxy-input none");
  }
  if (proxies_read(model, schema.proxies, schema.proxy_leaky) == 0) {
    throw UserError(
        "--proxy-input clean: /meta/proxy_leaky marks every column of /touch/proxy; use "
        "--proxy-input none or all");
  }
}

FirstPass first_pass(std::shared_ptr<const io::Log> log, const ModelOptions& model,
                     std::span<const io::UserFilter> fits, const io::UserFilter& scored,
                     int64_t threads, Communicator& world) {
  const io::LogSchema& schema = log->schema();
  check_mediator_mode(model, schema);
  const int64_t blocks = static_cast<int64_t>(log->blocks().size());
  const int64_t columns = schema.dense + schema.touch_dense + 1;  // and the outcome
  const int64_t outcome_column = columns - 1;

  FirstPass pass;
  pass.stats.schema = schema;
  pass.fit_rows.assign(fits.size(), std::vector<int64_t>(static_cast<size_t>(blocks)));
  BlockMoments moments(blocks, columns);
  std::vector<int64_t> touching(static_cast<size_t>(schema.clusters));
  std::vector<int64_t> item_counts(schema.item ? static_cast<size_t>(model.item_rows) : 0);
  std::vector<int64_t> cluster_counts(model.proxy_mode() ? static_cast<size_t>(schema.clusters)
                                                         : 0);
  // Scored rows; observed mediators, weighty rows and defined matches of the first fit.
  int64_t counts[4] = {};
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
      const auto first = journeys.cluster.begin() + journeys.touch_begin[at];
      const auto mine = journeys.cluster.begin() + touch;
      touching[*mine] += std::find(first, mine, *mine) == mine;
      if (!model.proxy_mode()) {
        counts[1] += schema.mediator && journeys.mediator[static_cast<size_t>(touch)] <= 1;
        continue;
      }
      ++cluster_counts[journeys.cluster[static_cast<size_t>(touch)]];
      counts[3] +=
          journeys.outcome[at] > 0 && !std::isnan(journeys.match[static_cast<size_t>(touch)]);
    }
    counts[2] += journeys.weight.empty() || journeys.weight[at] > 0;
    add(block_moments[static_cast<size_t>(outcome_column)], journeys.outcome[at]);
    largest_outcome = std::max(largest_outcome, std::fabs(journeys.outcome[at]));
  };
  const io::ReadReport mine =
      scan_blocks(log, threads, world, {}, model_columns(model), "first pass",
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
  world.all_reduce_sum(std::span(cluster_counts), "first pass clusters");
  world.all_reduce_sum(std::span(touching), "first pass clusters");
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
  const Spread outcome = moments.total(outcome_column);
  if (!(outcome.count > 0)) {
    throw UserError(
        format("the log has no training rows (%lld rows read, %lld held out): lower "
               "--holdout or use a larger log",
               static_cast<long long>(pass.rows), static_cast<long long>(pass.scored_rows)));
  }
  if (counts[2] == 0) {
    throw UserError(format(
        "/journey/weight is 0 in all %lld training rows: nothing to learn; write the inverse "
        "of the share of such journeys that was kept, or leave the data set out",
        static_cast<long long>(outcome.count)));
  }
  if (!(outcome.sd() > 0)) {
    throw UserError(format("/journey/outcome is %g in all %lld training rows: nothing to learn",
                           outcome.mean, static_cast<long long>(outcome.count)));
  }
  if (largest_outcome > kLargestOutcome) {
    throw UserError(
        format("/journey/outcome reaches %g: exact sums of squares hold up to %g; divide the "
               "outcome by a constant",
               static_cast<double>(largest_outcome), static_cast<double>(kLargestOutcome)));
  }
  if (model.proxy_mode() && counts[3] == 0) {
    throw UserError(
        "/touch/match is NaN in every training journey with an outcome: --mediator proxy has "
        "nothing to learn its code from");
  }
  if (!model.proxy_mode() && counts[1] == 0) {
    throw UserError("/touch/mediator is " +
                    std::string(schema.mediator ? "never observed (all 255)" : "absent") +
                    ": --mediator observed needs it, since effects are those that pass through it; "
                    "name its column in the mapping of alm import (mediator = ...)");
  }
  if (schema.outcome == io::OutcomeKind::continuous) {
    stats.outcome_mean = outcome.mean;
    stats.outcome_sd = outcome.sd();
  }
  double touches = 0;
  for (const int64_t count : cluster_counts) touches += static_cast<double>(count + 1);
  for (const int64_t count : cluster_counts) {
    stats.cluster_log_share.push_back(
        static_cast<float>(std::log(static_cast<double>(count + 1) / touches)));
  }
  for (const int64_t count : touching) {
    stats.touch_share.push_back(static_cast<float>(static_cast<double>(count) / outcome.count));
  }
  for (const int64_t count : item_counts) {
    stats.item_admitted.push_back(count >= model.item_admission);
  }
  return pass;
}

}  // namespace alm
