// Decoded blocks of a log that the lanes of a stream share.
#pragma once

#include <cstdint>
#include <vector>

#include "io/journeys.h"

namespace alm::io {

struct BlockBuffer {
  enum class State { wanted, loading, ready };
  int64_t block = -1;
  State state = State::ready;
  int64_t pins = 0;
  int64_t last_pinned = 0;
  Journeys rows;
  std::vector<int64_t> training;  // indices into rows
};

// As many as the lanes pin at once; a block nobody pins stays until its buffer is wanted. Not
// thread-safe: its owner has a lock.
class BlockBuffers {
 public:
  void resize(size_t count) { buffers_.resize(count); }
  // The buffer of that block, wanted where no buffer had it. Valid until resize().
  BlockBuffer* pin(int64_t block);

 private:
  std::vector<BlockBuffer> buffers_;
  int64_t pin_count_ = 0;
};

}  // namespace alm::io
