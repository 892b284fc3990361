#include "engine/model/staging.h"

namespace alm {

void Staging::begin(int64_t bytes) {
  used_ = 0;
  if (bytes <= memory_.size()) return;
  // Room to spare, so that batches of slightly different sizes settle after the first.
  take_memory(bytes + bytes / 4);
}

void Staging::reserve(int64_t bytes) {
  if (bytes > memory_.size()) take_memory(bytes);
}

void Staging::take_memory(int64_t bytes) {
  memory_ = {};
  memory_ = {device_, bytes};
  host_ = {};
  host_ = {device_, bytes};
}

}  // namespace alm
