// Credit of every touch of the scored users, from a trained bundle: one row a touch.
#pragma once

#include <string>

#include "engine/estimate/coordinator.h"
#include "io/log_reader.h"

namespace alm {

// Totals over all ranks.
struct Attribution {
  int64_t journeys = 0;
  int64_t touches = 0;
  int64_t users = 0;
  // Users of a log the bundle was not trained on whose hash falls into the training share.
  int64_t training_users = 0;
  bool scores = false;                 // proxy mode: what was written are no effects
  double mediator_variance_share = 0;  // of the scored rows; NaN: no mediator was observed
  io::ReadReport report;
};

// COLLECTIVE. Writes `out` (.csv or .h5, io/attribution_writer.h) in the order of the log: the same
// bytes for any number of ranks and threads. Sequence logs: do, ett and the Shapley value of method
// 3.1 under the main fit, exact but for long journeys of the general head (GeneralOutcome). Arm
// logs: do is the contrast with the reference arm and ett the replacement effect, both plug-ins at
// the journey's X; the one touch has all the credit there is. Proxy mode: do and ett scores where
// there are any, and `paper` in the place of the Shapley value. Ranks above 0 set their rows aside
// in "<out>.part-<rank>" until rank 0 has joined them, so the folder must be shared. Scored users
// as make_estimates. UserError when the columns differ from the model's, nobody is scored, `out` is
// a file of the log, or the mediator does not vary (kNoVariation): then the file is not made, since
// these would be no effects.
Attribution attribute(const EstimateInputs& inputs, const std::string& out);

}  // namespace alm
