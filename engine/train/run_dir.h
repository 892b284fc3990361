// The directory of a run: claimed by the training that fills it, read by what comes after.
#pragma once

#include <string>

#include "engine/comm/communicator.h"
#include "engine/model/bundle.h"

namespace alm {

// COLLECTIVE. Makes the directory and writes nothing into it. UserError when it cannot be written,
// or holds something and `resume` is off; what a start that ended before its first checkpoint left
// there does not count.
void claim_run_dir(const std::string& run_dir, bool resume, Communicator& world);

// The bundle of the newest good checkpoint; damaged ones are named in warnings. `option` is the one
// that named the run. UserError when there is no checkpoint or, if `whole`, when the training had
// not come as far as estimates. Not collective.
Bundle newest_bundle(const std::string& run_dir, const char* option, bool whole);

// COLLECTIVE. The bundle of a finished run: newest_bundle() of --run on every rank.
Bundle load_run(const std::string& run_dir, Communicator& world);

}  // namespace alm
