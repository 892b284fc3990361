// Cases of the pools of a journey's touches: by softmax, and by weights that are given.
#include "kernels/cases/builder.h"
#include "kernels/cases/entry.h"
#include "kernels/cases/families.h"

namespace alm::op_cases {

OpCase pool(const Shape& shape, int64_t width, double size, bool backward, int64_t padding,
            bool mask_dx) {
  const int64_t t = shape.touches();
  const int64_t n = shape.journeys();
  Builder builder(
      backward ? "pool_backward" : "pool_forward",
      shape.name + "_w" + text(width) + (size > 1 ? "_clamped" : "") + (mask_dx ? "_masked" : ""),
      padding);
  builder.journeys(shape.lengths)
      .normal("x", t, width)
      .normal("w", width, 1, Role::input, size)
      .flops((backward ? 10 : 4) * product({t, width}))
      .tolerance(4e-6);
  if (t == 0) builder.mostly_zero();
  builder.activations({"x"});
  if (!backward) return builder.output("alpha", t, 1).output("out", n, width + 1).done();
  return builder.normal("alpha", t, 1)
      .normal("out", n, width + 1)
      .normal("d_out", n, width + 1)
      .normal("d_x", t, width, Role::accumulated)
      .normal("d_w", width, 1, Role::accumulated)
      .scalar("mask_dx", mask_dx)
      .activations({"d_x"})
      .forward("pool_forward")
      .done();
}

OpCase weighted_sum(const Shape& shape, int64_t width, bool backward, int64_t padding) {
  const int64_t t = shape.touches();
  const int64_t n = shape.journeys();
  Builder builder(backward ? "weighted_sum_backward" : "weighted_sum_forward",
                  shape.name + "_w" + text(width), padding);
  builder.journeys(shape.lengths)
      .normal("x", t, width)
      .normal("weight", t, 1)
      .activations({"x"})
      .flops((backward ? 4 : 2) * product({t, width}));
  if (t == 0) builder.mostly_zero();
  if (!backward) return builder.output("out", n, width).done();
  return builder.normal("out", n, width)
      .normal("d_out", n, width)
      .output("d_x", t, width)
      .normal("d_weight", t, 1, Role::accumulated)
      .activations({"d_x"})
      .forward("weighted_sum_forward")
      .done();
}

std::vector<Entry> pool_entries() {
  return {
      ALM_ENTRY(pool_forward, PoolForward{.touches = csr(a),
                                          .x = a.activations("x"),
                                          .w = a.floats("w"),
                                          .alpha = a.floats("alpha"),
                                          .out = a.matrix("out")}),
      ALM_ENTRY(pool_backward, PoolBackward{.touches = csr(a),
                                            .x = a.activations("x"),
                                            .w = a.floats("w"),
                                            .alpha = a.floats("alpha"),
                                            .out = a.matrix("out"),
                                            .d_out = a.matrix("d_out"),
                                            .d_x = a.activations("d_x"),
                                            .d_w = a.floats("d_w"),
                                            .mask_dx = a.scalar("mask_dx") != 0}),
      ALM_ENTRY(weighted_sum_forward, WeightedSumForward{.touches = csr(a),
                                                         .x = a.activations("x"),
                                                         .weight = a.floats("weight"),
                                                         .out = a.matrix("out")}),
      ALM_ENTRY(weighted_sum_backward, WeightedSumBackward{.touches = csr(a),
                                                           .x = a.activations("x"),
                                                           .weight = a.floats("weight"),
                                                           .d_out = a.matrix("d_out"),
                                                           .d_x = a.activations("d_x"),
                                                           .d_weight = a.floats("d_weight")}),
  };
}

}  // namespace alm::op_cases
