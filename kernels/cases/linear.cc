// Cases of linear layers, and of a first layer that reads a touch and its context.
#include "kernels/cases/builder.h"
#include "kernels/cases/entry.h"
#include "kernels/cases/families.h"

namespace alm::op_cases {
namespace {

// An array of its own, or y.
MixedMatrix<const float> linear_addend(OpArguments& a) {
  return a.activations(a.scalar("accumulate") != 0 ? "y" : "addend");
}

}  // namespace

OpCase linear_forward(int64_t r, int64_t a, int64_t b, ForwardWays ways, Sides sides,
                      int64_t padding) {
  Builder builder("linear_forward",
                  text(r) + "x" + text(a) + "x" + text(b) + (ways.bias ? "_bias" : "") +
                      (ways.relu ? "_relu" : "") + (ways.accumulate ? "_accumulate" : "") +
                      (ways.addend ? "_addend" : "") + (ways.before_relu ? "_before" : ""),
                  padding);
  builder.normal("x", r, a).normal("w", a, b).flops(2 * product({r, a, b}));
  if (a == 0) builder.mostly_zero();
  if (ways.bias) builder.uniform("bias", b, 0.5, 2);
  if (ways.addend) builder.normal("addend", r, b);
  if (ways.accumulate) {
    builder.normal("y", r, b, Role::accumulated);
  } else {
    builder.output("y", r, b);
  }
  if (ways.before_relu) builder.output("before_relu", r, b);
  if (sides.x) builder.activations({"x"});
  if (sides.y) builder.activations({"addend", "y", "before_relu"});
  return builder.scalar("relu", ways.relu).scalar("accumulate", ways.accumulate).done();
}

OpCase linear_backward(int64_t r, int64_t a, int64_t b, BackwardWays ways, Sides sides,
                       int64_t padding) {
  Builder builder("linear_backward",
                  text(r) + "x" + text(a) + "x" + text(b) + (ways.relu ? "_relu" : "") +
                      (ways.alpha == 1 ? "" : "_reversed") +
                      (ways.accumulate_dx ? "_accumulate" : "") + (ways.mask_dx ? "_masked" : "") +
                      (ways.x ? "" : "_no_dx") + (ways.w ? "" : "_no_dw") +
                      (ways.bias ? "" : "_no_dbias"),
                  padding);
  builder.normal("x", r, a).normal("w", a, b).uniform("bias", b, 0.5, 2).normal("y", r, b);
  builder.normal("d_y", r, b, Role::accumulated).forward("linear_forward");
  if (a == 0) builder.mostly_zero();
  if (ways.x && ways.accumulate_dx) builder.normal("d_x", r, a, Role::accumulated);
  if (ways.x && !ways.accumulate_dx) builder.output("d_x", r, a);
  if (ways.w) builder.normal("d_w", a, b, Role::accumulated);
  if (ways.bias) builder.normal("d_bias", b, 1, Role::accumulated);
  if (sides.x) builder.activations({"x", "d_x"});
  if (sides.y) builder.activations({"y", "d_y"});
  return builder.scalar("relu", ways.relu)
      .scalar("alpha", ways.alpha)
      .scalar("accumulate_dx", ways.accumulate_dx)
      .scalar("mask_dx", ways.mask_dx)
      .flops(4 * product({r, a, b}))
      .done();
}

OpCase join_context(const Shape& shape, int64_t width, bool backward, int64_t padding) {
  const int64_t t = shape.touches();
  Builder builder(backward ? "join_context_backward" : "join_context_forward",
                  shape.name + "_w" + text(width), padding);
  builder.journeys(shape.lengths).normal("context", shape.journeys(), width);
  builder.flops(2 * product({t, width}));
  if (!backward) {
    return builder.normal("y", t, width, Role::accumulated).activations({"y"}).done();
  }
  if (t == 0) builder.mostly_zero();  // the context of journeys without touches gets no gradient
  return builder.normal("y", t, width)
      .normal("d_y", t, width, Role::accumulated)
      .output("d_context", shape.journeys(), width)
      .activations({"y", "d_y"})
      .forward("join_context_forward")
      .done();
}

std::vector<Entry> linear_entries() {
  return {
      ALM_ENTRY(linear_forward, LinearForward{.x = a.activations("x"),
                                              .w = a.matrix("w"),
                                              .bias = a.floats("bias"),
                                              .addend = linear_addend(a),
                                              .y = a.activations("y"),
                                              .before_relu = a.activations("before_relu"),
                                              .relu = a.scalar("relu") != 0}),
      ALM_ENTRY(linear_backward, LinearBackward{.x = a.activations("x"),
                                                .w = a.matrix("w"),
                                                .y = a.activations("y"),
                                                .d_y = a.activations("d_y"),
                                                .d_x = a.activations("d_x"),
                                                .d_w = a.matrix("d_w"),
                                                .d_bias = a.floats("d_bias"),
                                                .alpha = scalar(a, "alpha"),
                                                .relu = a.scalar("relu") != 0,
                                                .accumulate_dx = a.scalar("accumulate_dx") != 0,
                                                .mask_dx = a.scalar("mask_dx") != 0}),
      ALM_ENTRY(join_context_forward,
                JoinContextForward{
                    .touches = csr(a), .context = a.matrix("context"), .y = a.activations("y")}),
      ALM_ENTRY(join_context_backward, JoinContextBackward{.touches = csr(a),
                                                           .y = a.activations("y"),
                                                           .d_y = a.activations("d_y"),
                                                           .d_context = a.matrix("d_context")}),
  };
}

}  // namespace alm::op_cases
