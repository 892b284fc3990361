// The answer of alm inspect for people.
#pragma once

#include <string>

#include "io/json.h"

namespace alm {

// Of the JSON of launch/inspect_json.h and launch/inspect_storage.h; parts it lacks are left out.
std::string inspect_text(const io::Json& json);

}  // namespace alm
