// Cases of passes over whole ranges: sizes, exact integer sums, sigmoids, sums.
#include "kernels/cases/builder.h"
#include "kernels/cases/entry.h"
#include "kernels/cases/families.h"

namespace alm::op_cases {

OpCase max_abs(int64_t size) {
  return Builder("max_abs", text(size))
      .normal("x", size, 1)
      .uniform("largest", 1, 0, 1, Role::accumulated)
      .tolerance(0)
      .flops(product({size}))
      .done();
}

OpCase quantise(int64_t size, int64_t shift) {
  return Builder("quantise", text(size) + "_shift" + text(shift))
      .normal("x", size, 1)
      .zeros("sum", Type::i64, size, 1, Role::accumulated)
      .every(2, "sum", 12345)
      .scalar("shift", static_cast<double>(shift))
      .tolerance(0)
      .flops(product({size, 2}))
      .done();
}

OpCase dequantise(int64_t size, int64_t shift) {
  return Builder("dequantise", text(size) + "_shift" + text(shift))
      .whole("sum", Type::i64, size, int64_t{1} << 52)
      .output("x", size, 1)
      .scalar("shift", static_cast<double>(shift))
      .tolerance(6e-8)
      .flops(product({size, 2}))
      .done();
}

OpCase sigmoid(int64_t size, double scale) {
  return Builder("sigmoid", text(size) + (scale < 0 ? "_negative" : ""))
      .normal("logit", size, 1, Role::input, 5)
      .output("out", size, 1)
      .scalar("scale", scale)
      .tolerance(3e-7)
      .flops(product({size, 25}))
      .done();
}

OpCase expected_mediator(int64_t size, Missing missing, bool backward) {
  const char* const which[] = {"_observed", "", "_missing"};
  Builder builder(backward ? "expected_mediator_backward" : "expected_mediator_forward",
                  text(size) + which[static_cast<int>(missing)]);
  builder.whole("mediator", Type::u8, size, 2)
      .normal("logit", size, 1, Role::input, 3)
      .tolerance(3e-7)
      .flops(product({size, backward ? 4 : 25}));
  if (missing != Missing::none) {
    builder.every(missing == Missing::all ? 1 : 3, "mediator", kMediatorMissing);
  }
  if (!backward) return builder.output("share", size, 1).done();
  return builder.normal("share", size, 1)
      .normal("d_share", size, 1)
      .normal("d_logit", size, 1, Role::accumulated)
      .forward("expected_mediator_forward")
      .done();
}

OpCase accumulate(int64_t size) {
  return Builder("accumulate", text(size))
      .normal("x", size, 1)
      .normal("y", size, 1, Role::accumulated)
      .tolerance(6e-8)
      .flops(product({size}))
      .done();
}

OpCase sum_squares(int64_t size) {
  Builder builder("sum_squares", text(size));
  if (size == 0) builder.mostly_zero();
  return builder.normal("x", size, 1)
      .zeros("sum", Type::f64, 1, 1, Role::accumulated)
      .tolerance(1e-14)
      .flops(product({size, 2}))
      .done();
}

std::vector<Entry> reduce_entries() {
  return {
      ALM_ENTRY(max_abs, MaxAbs{.x = a.floats("x"), .largest = a.floats("largest").data()}),
      ALM_ENTRY(quantise, Quantise{.x = a.floats("x"),
                                   .shift = static_cast<int>(a.scalar("shift")),
                                   .sum = a.integers("sum")}),
      ALM_ENTRY(dequantise, Dequantise{.sum = a.integers("sum"),
                                       .shift = static_cast<int>(a.scalar("shift")),
                                       .x = a.floats("x")}),
      ALM_ENTRY(
          sigmoid,
          Sigmoid{.logit = a.floats("logit"), .scale = scalar(a, "scale"), .out = a.floats("out")}),
      ALM_ENTRY(expected_mediator_forward, ExpectedMediatorForward{.mediator = a.bytes("mediator"),
                                                                   .logit = a.floats("logit"),
                                                                   .share = a.floats("share")}),
      ALM_ENTRY(expected_mediator_backward,
                ExpectedMediatorBackward{.mediator = a.bytes("mediator"),
                                         .share = a.floats("share"),
                                         .d_share = a.floats("d_share"),
                                         .d_logit = a.floats("d_logit")}),
      ALM_ENTRY(accumulate, Accumulate{.x = a.floats("x"), .y = a.floats("y")}),
      ALM_ENTRY(sum_squares, SumSquares{.x = a.floats("x"), .sum = a.doubles("sum")}),
  };
}

}  // namespace alm::op_cases
