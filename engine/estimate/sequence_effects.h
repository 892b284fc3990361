// What a result says of the clusters of a sequence log: effects, and what clusters are ranked by.
#pragma once

#include <string>

#include "engine/estimate/removal_sums.h"
#include "engine/estimate/sequence_sums.h"

namespace alm {

inline constexpr const char* kNoRemovalWhy =
    "the one-step form of removal rests on the separable head: --outcome-head separable gives it";

// Empty: the one-step value has an interval. `undertrained`: why none of this fit has.
std::string why_no_interval(const SequenceSums& sums, int64_t cluster,
                            const std::string& undertrained);
// Whether a back-door regression had one coefficient for this cluster and others together.
bool shares_backdoor(const Bundle& bundle, int64_t cluster);

// `why_not`: said of every effect unless `identified`.
io::Json effects_json(const SequenceSums& sums, const RemovalSums& removal,
                      const io::LogSchema& schema, bool identified, const std::string& why_not,
                      const Bundle& bundle, const std::string& undertrained);
// method 6.3: what clusters are ranked by.
ClusterTable cluster_table(const SequenceSums& sums, const io::LogSchema& schema,
                           const Bundle& bundle);

}  // namespace alm
