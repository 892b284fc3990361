#include "engine/train/largest_batch.h"

#include <algorithm>
#include <cmath>

#include "engine/model/scan.h"
#include "engine/train/step.h"
#include "engine/train/train_options.h"
#include "io/sample_plan.h"

namespace alm {

TouchCounts touch_counts(const io::Log& log, int64_t longest) {
  const double rows = static_cast<double>(std::max<int64_t>(log.rows(), 1));
  const double mean = static_cast<double>(log.touches()) / rows;
  return {std::min(mean, static_cast<double>(longest)), longest};
}

int64_t most_touches(int64_t journeys, const TouchCounts& counts) {
  const double n = static_cast<double>(journeys);
  const double longest = static_cast<double>(counts.longest);
  const double spread = std::sqrt(n * counts.mean * (longest - counts.mean));
  return static_cast<int64_t>(std::ceil(std::min(n * counts.mean + 6 * spread, n * longest)));
}

LargestBatch largest_batch(const Model& model, const TouchCounts& counts, int64_t batch,
                           int64_t ranks, int64_t threads, bool deterministic) {
  const auto sized = [&](int64_t journeys) {
    return PassSize{journeys, most_touches(journeys, counts)};
  };
  const int64_t block_rows = micro_block_rows(batch);
  const int64_t blocks = batch / block_rows;
  io::lanes_of_rank(blocks, 0, ranks);  // refuses too many
  const int64_t mine = (blocks + ranks - 1) / ranks;
  const int64_t rows = mine * block_rows;
  const bool whole = StepState::whole_blocks(model, deterministic);
  const int64_t together = unit_of(mine, block_rows, threads, whole).blocks_at_once * block_rows;
  const bool one_group = model.options().proxy_mode();
  return {.mine = sized(rows),
          .all = sized(batch),
          .block = sized(block_rows),
          .unit = sized(one_group ? block_rows : std::min(together, kJourneysAtOnce)),
          .validation = sized(kScanRows),
          .validations = sized(deterministic ? kScanRows : rows + kScanRows)};
}

}  // namespace alm
