// Cases of the bilinear term of a touch and the context of its journey.
#include "kernels/cases/builder.h"
#include "kernels/cases/entry.h"
#include "kernels/cases/families.h"

namespace alm::op_cases {

OpCase bilinear(const Shape& shape, int64_t clusters, int64_t width, bool backward,
                int64_t padding) {
  const int64_t t = shape.touches();
  Builder builder(backward ? "bilinear_backward" : "bilinear_forward",
                  shape.name + "_k" + text(clusters) + "_c" + text(width), padding);
  builder.journeys(shape.lengths)
      .whole("cluster", Type::i64, t, clusters)
      .normal("bias", clusters, 1)
      .normal("v", clusters, width)
      .normal("context", shape.journeys(), width)
      .flops((backward ? 4 : 2) * product({t, width}));
  if (!backward) return builder.normal("logit", t, 1, Role::accumulated).done();
  return builder.normal("logit", t, 1)
      .normal("d_logit", t, 1)
      .normal("d_bias", clusters, 1, Role::accumulated)
      .normal("d_v", clusters, width, Role::accumulated)
      .normal("d_context", shape.journeys(), width, Role::accumulated)
      .forward("bilinear_forward")
      .done();
}

std::vector<Entry> bilinear_entries() {
  return {
      ALM_ENTRY(bilinear_forward, BilinearForward{.touches = csr(a),
                                                  .cluster = a.integers("cluster"),
                                                  .bias = a.floats("bias"),
                                                  .v = a.matrix("v"),
                                                  .context = a.matrix("context"),
                                                  .logit = a.floats("logit")}),
      ALM_ENTRY(bilinear_backward, BilinearBackward{.touches = csr(a),
                                                    .cluster = a.integers("cluster"),
                                                    .v = a.matrix("v"),
                                                    .context = a.matrix("context"),
                                                    .d_logit = a.floats("d_logit"),
                                                    .d_bias = a.floats("d_bias"),
                                                    .d_v = a.matrix("d_v"),
                                                    .d_context = a.matrix("d_context")}),
  };
}

}  // namespace alm::op_cases
