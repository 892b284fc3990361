// The scored journeys of an arm log, each with the nuisances of the fit that scores its user.
#pragma once

#include <functional>
#include <string>

#include "engine/estimate/coordinator.h"
#include "engine/estimate/influence.h"
#include "engine/estimate/row_values.h"

namespace alm {

// COLLECTIVE. body(journeys, row, nuisances, thread) for every row of a user that passes `filter`,
// on all threads; the nuisances live until it returns. `title` and errors as of scan_log.
void scan_arm_rows(const EstimateInputs& inputs, const io::UserFilter& filter,
                   const std::string& title,
                   const std::function<void(const io::Journeys& journeys, size_t row,
                                            const ArmNuisances& nuisances, int64_t thread)>& body);

// E[Y | M, A, X] of a row, over the law of the mediator where that was not observed.
double predicted_outcome(const ArmNuisances& nuisances, const io::Journeys& journeys, size_t row);

}  // namespace alm
