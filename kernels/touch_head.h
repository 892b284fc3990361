// The touch head made of the other ops of a table: what a backend does with it that has no kernel
// of its own for the shape.
#pragma once

#include "kernels/ops.h"

namespace alm {

// Checks the shapes; reads nothing but them.
void check_touch_head(const TouchHeadForward& a);
void check_touch_head(const TouchHeadBackward& a);

void touch_head_forward_by_parts(const Ops& ops, Queue& queue, const TouchHeadForward& a);
void touch_head_backward_by_parts(const Ops& ops, Queue& queue, const TouchHeadBackward& a);

}  // namespace alm
