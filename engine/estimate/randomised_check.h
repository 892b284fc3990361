// Front-door effects beside those of randomised exposures, where the log marks some (method 7.4).
#pragma once

#include <string>

#include "engine/estimate/user_sums.h"
#include "io/json.h"

namespace alm {

// `randomised_subset` of `identification`: for every cluster of 20 randomised exposures or more the
// mean outcome of its randomised exposures minus that of all others, less the same difference of
// front-door effects (`do.plugin`, whose error is taken to be that of `ett.one_step`), over the
// errors of both taken as independent. `randomised`: outcomes by cluster, `all`: one row, of every
// such exposure; reduced. `effects`: as in estimates.json.
io::Json randomised_check(const GroupedSums& randomised, const GroupedSums& all,
                          const io::Json& effects);
// The same without a verdict.
io::Json no_randomised_check(const std::string& why);
// Arm logs: mean outcome of randomised journeys of the arm minus that of the reference arm's, less
// `do.one_step`.
io::Json randomised_check_of_arms(const GroupedSums& randomised, int64_t reference,
                                  const io::Json& effects);

}  // namespace alm
