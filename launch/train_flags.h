// The options of a training, which `alm train` and `alm plan` share, and what they resolve to.
#pragma once

#include <vector>

#include "engine/train/train_options.h"
#include "kernels/gpu.h"
#include "kernels/mixed_matrix.h"
#include "launch/options.h"

namespace alm {

// All but where the run goes to; those of the log among them.
std::vector<OptionSpec> train_flags();
// UserError where options do not go together.
TrainOptions train_options(const Options& options);
// What a GPU would compute in.
Precision precision_on_gpu(const Options& options, const TrainOptions& resolved);
// Who would make its products. With --deterministic bits may not hang on a library; in proxy mode
// no two steps have the same sizes, for each of which it would seek its code.
Products products_on_gpu(const TrainOptions& resolved);

}  // namespace alm
