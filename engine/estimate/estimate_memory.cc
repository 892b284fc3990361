#include "engine/estimate/estimate_memory.h"

#include <algorithm>

#include "engine/estimate/bootstrap.h"
#include "engine/estimate/gains.h"
#include "engine/model/removal_net.h"
#include "kernels/base/fixed_point.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

// Rounded up from what was measured (docs/performance.md).
constexpr int64_t kSumBytes = 1600;           // of a cluster, in each thread's sums
constexpr int64_t kThreadBytes = 40'000'000;  // of values by score and sampled orders
constexpr int64_t kTouchBytes = 250;          // of a touch whose user groups are not yet all there
constexpr int64_t kResultBytes = 8000;        // of a cluster in estimates.json while it is made
constexpr int64_t kCriticBytes = 25'000'000;  // of the critic's journeys, gathered by every rank

}  // namespace

int64_t estimate_bytes(const io::LogSchema& schema, int64_t touches, int64_t threads) {
  const int64_t cell = 2 * static_cast<int64_t>(sizeof(FixedSum));
  const int64_t groups = user_group_count(schema.clusters);
  // Of an arm log every journey has a value for every arm.
  const int64_t strata = schema.clusters > kStratifiedClusters ? 1 : kStrata;
  const int64_t all_groups =
      ((schema.is_arm_log() ? 8 : 3) + strata) * groups * cell * schema.clusters;
  const int64_t grouped =
      schema.is_arm_log() ? all_groups : std::min(all_groups, touches * kTouchBytes);
  // Removal has a value for clusters that a journey did not touch, too.
  const bool absent = !schema.is_arm_log() && schema.clusters <= kRemovalClusters;
  const int64_t removal = absent ? groups * cell * schema.clusters : 0;
  return threads * (kThreadBytes + kSumBytes * schema.clusters + grouped + removal) +
         schema.clusters * (kResultBytes + kBootstrapReplicates * 8) +
         (schema.is_arm_log() ? 0 : kCriticBytes);
}

std::string memory_advice(const io::LogSchema& schema, int64_t touches, int64_t threads,
                          int64_t ranks, int64_t memory) {
  const int64_t bytes = ranks * estimate_bytes(schema, touches, threads);
  if (bytes <= memory / 2) return "";
  return format(
      "the estimates of %s clusters may take %s of this machine's %s: give fewer "
      "--threads or ranks a host, or join rare clusters in the log",
      with_commas(schema.clusters).c_str(), human_bytes(static_cast<double>(bytes)).c_str(),
      human_bytes(static_cast<double>(memory)).c_str());
}

}  // namespace alm
