#include "engine/train/train_options.h"

#include <algorithm>

#include "kernels/base/check.h"

namespace alm {
namespace {

constexpr int64_t kMostEpochs = 20;
// A network that took fewer steps has not learned (contract 5).
constexpr int64_t kWantedSteps = 1000;
constexpr int64_t kLeastBatch = 64;

}  // namespace

int64_t resolved_batch(int64_t batch, int64_t training_rows) {
  if (batch > 0) return batch;
  if (training_rows >= 1'000'000) return training_rows < 10'000'000 ? 4096 : 8192;
  int64_t rows = 1024;
  while (rows > kLeastBatch && rows * kWantedSteps > training_rows * kMostEpochs) rows /= 2;
  return rows;
}

int64_t resolved_epochs(int64_t epochs, int64_t steps_per_epoch) {
  if (epochs > 0) return epochs;
  const int64_t steps = std::max<int64_t>(steps_per_epoch, 1);
  return std::min<int64_t>((1200 + steps - 1) / steps, kMostEpochs);
}

int64_t micro_block_rows(int64_t batch) {
  const int64_t unit = batch >= 8192 ? 256 : 16;
  if (batch < 16 || batch % unit != 0) {
    throw UserError(
        format("--batch %lld is not a multiple of %lld: a batch is cut into equal "
               "micro-blocks; try %lld",
               static_cast<long long>(batch), static_cast<long long>(unit),
               static_cast<long long>((batch / unit + 1) * unit)));
  }
  return batch >= 8192 ? 256 : batch / 16;
}

}  // namespace alm
