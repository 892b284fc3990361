// The touch head by its parts: their kernels keep what they share in the processor's caches.
#include "kernels/touch_head.h"

#include "kernels/cpu/level.h"

namespace alm::ALM_SIMD {

extern const Ops kOps;

void touch_head_forward(Queue& queue, const TouchHeadForward& a) {
  touch_head_forward_by_parts(kOps, queue, a);
}

void touch_head_backward(Queue& queue, const TouchHeadBackward& a) {
  touch_head_backward_by_parts(kOps, queue, a);
}

}  // namespace alm::ALM_SIMD
