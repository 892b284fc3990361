// Shared memory of one block: at most 48 KiB, full of NaN at first. Fresh for each block, with gaps
// around its arrays that AddressSanitizer watches, so what a block leaves is of no use to the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/cuda/simt.cuh"

namespace simt {

class Arena {
 public:
  void begin_block(size_t warps);
  void end_block();
  // The array of this key; made at its first call. `at` is for errors.
  void* array(const void* key, size_t bytes, Line at);
  bool holds(const void* address) const;
  // Addresses by which ThreadSanitizer knows what a meeting of threads orders: fresh in each block,
  // so that blocks stay unordered.
  void* barrier_tag(int64_t number);
  void* warp_tag(size_t warp, int64_t number);

 private:
  struct Array {
    const void* key;
    char* memory;  // with a gap on either side
    size_t room;   // bytes between them
  };
  char* tags_ = nullptr;
  size_t wanted_ = 0;  // bytes of the arrays so far, rounded up
  std::vector<Array> arrays_;
};

}  // namespace simt
