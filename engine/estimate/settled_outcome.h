// Whether the outcome can all but be read off what the model sees: a sign that the mediator, or a
// column, was made from the outcome.
#pragma once

#include "io/json.h"

namespace alm {

// `rig` (binary outcomes) or `r2` from which on the warning is given. Honest logs lie far below:
// even a purchase that needs a visit leaves open which visits end in one.
inline constexpr double kSettled = 0.9;

// Adds a sentence to identification.warnings of `estimates` (contract 3) where its prediction says
// so.
void warn_of_settled_outcome(io::Json& estimates);

}  // namespace alm
