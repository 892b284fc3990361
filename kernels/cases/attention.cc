// Cases of attention inside a journey.
#include "kernels/cases/builder.h"
#include "kernels/cases/entry.h"
#include "kernels/cases/families.h"

namespace alm::op_cases {

OpCase attention(const Shape& shape, int64_t heads, int64_t d, bool backward, int64_t padding) {
  const int64_t t = shape.touches();
  const int64_t width = heads * d;
  Builder builder(backward ? "attention_backward" : "attention_forward",
                  shape.name + "_h" + text(heads) + "_d" + text(d), padding);
  double pairs = 0;
  for (const int64_t length : shape.lengths) pairs += product({length, length + 3}) / 2;
  builder.journeys(shape.lengths)
      .normal("qkv", t, 3 * width)
      .normal("start", 2, width)
      .scalar("heads", static_cast<double>(heads))
      .tolerance(4e-6)
      .flops((backward ? 10 : 4) * pairs * static_cast<double>(width));
  if (!backward) {
    return builder.output("out", t, width)
        .output("log_sum", t, heads)
        .activations({"qkv", "out"})
        .done();
  }
  return builder.normal("out", t, width)
      .normal("log_sum", t, heads)
      .normal("d_out", t, width)
      .output("d_qkv", t, 3 * width)
      .normal("d_start", 2, width, Role::accumulated)
      .activations({"qkv", "out", "d_out", "d_qkv"})
      .forward("attention_forward")
      .done();
}

std::vector<Entry> attention_entries() {
  return {
      ALM_ENTRY(attention_forward,
                AttentionForward{.touches = csr(a),
                                 .heads = static_cast<int64_t>(a.scalar("heads")),
                                 .qkv = a.activations("qkv"),
                                 .start = a.matrix("start"),
                                 .out = a.activations("out"),
                                 .log_sum = a.matrix("log_sum")}),
      ALM_ENTRY(attention_backward,
                AttentionBackward{.touches = csr(a),
                                  .heads = static_cast<int64_t>(a.scalar("heads")),
                                  .qkv = a.activations("qkv"),
                                  .start = a.matrix("start"),
                                  .out = a.activations("out"),
                                  .log_sum = a.matrix("log_sum"),
                                  .d_out = a.activations("d_out"),
                                  .d_qkv = a.activations("d_qkv"),
                                  .d_start = a.matrix("d_start")}),
  };
}

}  // namespace alm::op_cases
