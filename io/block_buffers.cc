// Which buffer a block comes into.
#include "io/block_buffers.h"

#include "kernels/base/check.h"

namespace alm::io {

BlockBuffer* BlockBuffers::pin(int64_t block) {
  BlockBuffer* chosen = nullptr;
  for (BlockBuffer& buffer : buffers_) {
    if (buffer.block == block) {
      chosen = &buffer;
      break;
    }
    if (buffer.pins == 0 && (chosen == nullptr || buffer.last_pinned < chosen->last_pinned)) {
      chosen = &buffer;
    }
  }
  ALM_CHECK(chosen != nullptr, "more blocks pinned than buffers");
  if (chosen->block != block) {
    chosen->block = block;
    chosen->state = BlockBuffer::State::wanted;
  }
  ++chosen->pins;
  chosen->last_pinned = ++pin_count_;
  return chosen;
}

}  // namespace alm::io
