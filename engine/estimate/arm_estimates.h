// Estimates of arm logs (contract 3): effects of each arm against the reference, prediction, uplift
// areas.
#pragma once

#include "engine/estimate/arm_tabular.h"
#include "engine/estimate/coordinator.h"

namespace alm {

// COLLECTIVE. Nuisances from the main fit, or by counting when the bundle is tabular.
void estimate_arm_log(const EstimateInputs& inputs, const ScoredUsers& users, Estimates& estimates);

// COLLECTIVE. The counts of --nuisance tabular over the rows that pass `training`, packed for the
// bundle; `title` as of scan_log. UserError when the log has dense columns or touches that are not
// arms.
std::vector<int64_t> count_nuisances(std::shared_ptr<const io::Log> log,
                                     const io::UserFilter& training, Compute& compute,
                                     Communicator& world, const std::string& title);

}  // namespace alm
