// Cases of the touch head, whole.
#include "kernels/cases/builder.h"
#include "kernels/cases/entry.h"
#include "kernels/cases/families.h"

namespace alm::op_cases {
namespace {

TouchHeadTensors<float> head_tensors(OpArguments& a, const std::string& prefix) {
  return {.w_touch = a.matrix(prefix + "w_touch"),
          .bias = a.floats(prefix + "bias"),
          .w_context = a.matrix(prefix + "w_context"),
          .w_out = a.matrix(prefix + "w_out"),
          .out_bias = a.floats(prefix + "out_bias"),
          .cluster_bias = a.floats(prefix + "cluster_bias"),
          .v = a.matrix(prefix + "v")};
}

TouchHeadTensors<const float> head_weights(OpArguments& a) {
  const TouchHeadTensors<float> of = head_tensors(a, "");
  return {of.w_touch, of.bias, of.w_context, of.w_out, of.out_bias, of.cluster_bias, of.v};
}

}  // namespace

OpCase touch_head(const Shape& shape, int64_t clusters, HeadWidths widths, bool backward,
                  HeadWays ways, int64_t padding) {
  const int64_t t = shape.touches();
  const int64_t n = shape.journeys();
  const auto& [touch, context, hidden] = widths;
  Builder builder(backward ? "touch_head_backward" : "touch_head_forward",
                  shape.name + "_k" + text(clusters) + "_" + text(touch) + "_" + text(context) +
                      "_" + text(hidden) + (ways.beside ? "_beside" : "") +
                      (ways.accumulate_dx ? "" : "_overwrite") + (ways.mask_dx ? "_masked" : ""),
                  padding);
  builder.journeys(shape.lengths)
      .whole("cluster", Type::i64, t, clusters)
      .normal("x", t, touch)
      .normal("context", n, context)
      .normal("w_touch", touch, hidden, Role::input, 0.3)
      .uniform("bias", hidden, -0.5, 0.5)
      .normal("w_context", context, hidden, Role::input, 0.3)
      .normal("w_out", hidden, 1)
      .normal("out_bias", 1, 1)
      .normal("cluster_bias", clusters, 1)
      .normal("v", clusters, context)
      .room("of_context", n, hidden)
      .scalar("keep_hidden", ways.beside)
      .tolerance(4e-6)
      .flops((backward ? 4 : 2) * product({t, touch + 1, hidden}) +
             (backward ? 4 : 2) * product({n, context, hidden}) +
             (backward ? 4 : 2) * product({t, context}));
  if (!backward) {
    builder.output("logit", t, 1);
    if (ways.beside) {
      builder.output("hidden", t, hidden);
    } else {
      builder.room("hidden", t, hidden);
    }
    if (!ways.fp32_x) builder.activations({"x"});
    return builder.activations({"hidden"}).done();
  }
  if (ways.beside) builder.normal("d_hidden", t, hidden);
  if (ways.accumulate_dx) {
    builder.normal("d_x", t, touch, Role::accumulated);
  } else {
    builder.output("d_x", t, touch);
  }
  if (!ways.fp32_x) builder.activations({"x", "d_x"});
  return builder.room("logit", t, 1)
      .room("hidden", t, hidden)
      .normal("d_logit", t, 1)
      .normal("d_context", n, context, Role::accumulated)
      .normal("d_w_touch", touch, hidden, Role::accumulated)
      .normal("d_bias", hidden, 1, Role::accumulated)
      .normal("d_w_context", context, hidden, Role::accumulated)
      .normal("d_w_out", hidden, 1, Role::accumulated)
      .normal("d_out_bias", 1, 1, Role::accumulated)
      .normal("d_cluster_bias", clusters, 1, Role::accumulated)
      .normal("d_v", clusters, context, Role::accumulated)
      .room("room_touches", t, hidden)
      .room("room_journeys", n, hidden)
      .activations({"hidden", "d_hidden", "room_touches"})
      .scalar("accumulate_dx", ways.accumulate_dx)
      .scalar("mask_dx", ways.mask_dx)
      .forward("touch_head_forward")
      .done();
}

std::vector<Entry> touch_head_entries() {
  return {
      ALM_ENTRY(touch_head_forward, TouchHeadForward{.touches = csr(a),
                                                     .cluster = a.integers("cluster"),
                                                     .x = a.activations("x"),
                                                     .context = a.matrix("context"),
                                                     .weights = head_weights(a),
                                                     .logit = a.matrix("logit"),
                                                     .hidden = a.activations("hidden"),
                                                     .of_context = a.matrix("of_context"),
                                                     .keep_hidden = a.scalar("keep_hidden") != 0}),
      ALM_ENTRY(touch_head_backward,
                TouchHeadBackward{.touches = csr(a),
                                  .cluster = a.integers("cluster"),
                                  .x = a.activations("x"),
                                  .context = a.matrix("context"),
                                  .weights = head_weights(a),
                                  .hidden = a.activations("hidden"),
                                  .d_logit = a.matrix("d_logit"),
                                  .d_hidden = a.activations("d_hidden"),
                                  .d_x = a.activations("d_x"),
                                  .d_context = a.matrix("d_context"),
                                  .gradients = head_tensors(a, "d_"),
                                  .room_touches = a.activations("room_touches"),
                                  .room_journeys = a.matrix("room_journeys"),
                                  .accumulate_dx = a.scalar("accumulate_dx") != 0,
                                  .mask_dx = a.scalar("mask_dx") != 0}),
  };
}

}  // namespace alm::op_cases
