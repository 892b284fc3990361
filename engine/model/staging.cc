#include "engine/model/staging.h"

namespace alm {

void Staging::begin(int64_t bytes) {
  used_ = 0;
  if (bytes <= memory_.size()) return;
  // Room to spare, so that batches of slightly different sizes settle after the first.
  const int64_t size = bytes + bytes / 4;
  memory_ = {};
  memory_ = {device_, size};
  host_ = {};
  host_ = {device_, size};
}

}  // namespace alm
