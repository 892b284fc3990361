// What options of a training cannot do together, or not with a log.
#pragma once

#include "engine/train/train_options.h"
#include "io/journeys.h"
#include "launch/options.h"

namespace alm {

// UserError where options do not go together, or where one does nothing without another.
void check_together(const Options& options, const TrainOptions& resolved);
// UserError where they do not go with a log of this schema.
void check_log_fits(const TrainOptions& options, const io::LogSchema& schema);

}  // namespace alm
