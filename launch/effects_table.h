// The end of a run on a terminal: effects beside naive, back-door and truth.
#pragma once

#include <string>

#include "io/json.h"

namespace alm {

// A few lines of text from estimates.json: the largest and smallest effects, prediction, truth,
// warnings.
std::string effects_table(const io::Json& estimates);

}  // namespace alm
