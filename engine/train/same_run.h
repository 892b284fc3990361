// Whether a run may go on: what of it must be as it was.
#pragma once

#include "engine/train/trainer.h"
#include "io/checkpoint_files.h"

namespace alm {

// Options of a job, and what became of them here, that change what is learned.
io::Json options_that_matter(const TrainJob& job);

// UserError, naming the option, where they are not those under which the checkpoint was written, or
// the log is another.
void check_same_run(const TrainJob& job, const io::CheckpointBlobs& checkpoint);

}  // namespace alm
