// Cases of the losses: of whole models, of single outputs, of classes.
#include <limits>

#include "kernels/cases/builder.h"
#include "kernels/cases/entry.h"
#include "kernels/cases/families.h"

namespace alm::op_cases {
namespace {

SupervisedLoss supervised_arguments(OpArguments& a) {
  return {.output = a.floats("output"),
          .target = a.floats("target"),
          .weight = a.floats("weight"),
          .scale = scalar(a, "scale"),
          .d_output = a.floats("d_output"),
          .sum = a.doubles("sum"),
          .weight_sum = a.doubles("weight_sum")};
}

LossSums* loss_sums(OpArguments& a) {
  static_assert(sizeof(LossSums) == kLossSums * sizeof(double));
  return reinterpret_cast<LossSums*>(a.doubles("sums"));
}

}  // namespace

OpCase journey_loss(const std::string& op, const Shape& shape, double size, bool gradients) {
  const bool separable = op == "separable_loss";
  const int64_t t = shape.touches();
  const int64_t n = shape.journeys();
  Builder builder(op, shape.name + "_spread" + text(static_cast<int64_t>(size)) +
                          (gradients ? "" : "_losses_only"));
  builder.journeys(shape.lengths)
      .normal("mediator_logit", t, 1, Role::input, size)
      .normal("potency", t, 1, Role::input, size)
      .normal("confounding", n, 1, Role::input, size)
      .whole("mediator", Type::u8, t, 2)
      .every(3, "mediator", kMediatorMissing)
      .uniform("weight", n, 0.5, 5)
      .zeros("sums", Type::f64, kLossSums, 1, Role::accumulated)
      .scalar("w_mediator", 0.3)
      .scalar("w_outcome", 1.25)
      .scalar("w_second", 0.75)
      .tolerance(size > 1 ? 1e-5 : 4e-6)
      .flops(product({t, 150}) + product({n, 200}));
  if (separable) {
    builder.normal("second_stage", n, 1, Role::input, size);
    builder.zeros("outcome", Type::f32, n, 1, Role::input).every(2, "outcome", 1);
  } else {
    builder.normal("outcome", n, 1);
  }
  if (!gradients || t < kLossSums) builder.mostly_zero();  // most of the sums are not this op's
  if (gradients) {
    builder.output("d_mediator_logit", t, 1).output("d_potency", t, 1);
    builder.output("d_confounding", n, 1);
    if (separable) builder.output("d_second_stage", n, 1);
  }
  return builder.done();
}

OpCase supervised(const std::string& op, int64_t rows, double size, bool gradient) {
  Builder builder(op, text(rows) + "_spread" + text(static_cast<int64_t>(size)) +
                          (gradient ? "" : "_loss_only"));
  builder.normal("output", rows, 1, Role::input, size)
      .uniform("target", rows, 0, 1)
      .every(4, "target", 1)
      .every(7, "target", std::numeric_limits<double>::quiet_NaN())
      .uniform("weight", rows, 0.5, 5)
      .zeros("sum", Type::f64, 1, 1, Role::accumulated)
      .zeros("weight_sum", Type::f64, 1, 1, Role::accumulated)
      .scalar("scale", 0.4)
      .flops(product({rows, 40}));
  if (rows < 2) builder.mostly_zero();
  if (gradient) builder.output("d_output", rows, 1);
  return builder.done();
}

OpCase softmax_loss(int64_t rows, int64_t classes, double size, bool gradient, int64_t padding) {
  Builder builder("softmax_loss",
                  text(rows) + "x" + text(classes) + "_spread" + text(static_cast<int64_t>(size)) +
                      (gradient ? "" : "_loss_only"),
                  padding);
  builder.normal("logits", rows, classes, Role::input, size)
      .whole("label", Type::i64, rows, classes)
      .uniform("weight", rows, 0.5, 5)
      .zeros("sum", Type::f64, 1, 1, Role::accumulated)
      .scalar("scale", 0.4)
      .tolerance(4e-6)
      .flops(product({rows, classes, 20}));
  if (rows == 0 || classes == 1) builder.mostly_zero();
  if (gradient) builder.output("d_logits", rows, classes);
  return builder.done();
}

std::vector<Entry> loss_entries() {
  return {
      ALM_ENTRY(separable_loss, SeparableLoss{.touches = csr(a),
                                              .mediator_logit = a.floats("mediator_logit"),
                                              .potency = a.floats("potency"),
                                              .confounding = a.floats("confounding"),
                                              .second_stage = a.floats("second_stage"),
                                              .mediator = a.bytes("mediator"),
                                              .outcome = a.floats("outcome"),
                                              .weight = a.floats("weight"),
                                              .w_mediator = scalar(a, "w_mediator"),
                                              .w_outcome = scalar(a, "w_outcome"),
                                              .w_second = scalar(a, "w_second"),
                                              .d_mediator_logit = a.floats("d_mediator_logit"),
                                              .d_potency = a.floats("d_potency"),
                                              .d_confounding = a.floats("d_confounding"),
                                              .d_second_stage = a.floats("d_second_stage"),
                                              .sums = loss_sums(a)}),
      ALM_ENTRY(additive_loss, AdditiveLoss{.touches = csr(a),
                                            .mediator_logit = a.floats("mediator_logit"),
                                            .potency = a.floats("potency"),
                                            .confounding = a.floats("confounding"),
                                            .mediator = a.bytes("mediator"),
                                            .outcome = a.floats("outcome"),
                                            .weight = a.floats("weight"),
                                            .w_mediator = scalar(a, "w_mediator"),
                                            .w_outcome = scalar(a, "w_outcome"),
                                            .d_mediator_logit = a.floats("d_mediator_logit"),
                                            .d_potency = a.floats("d_potency"),
                                            .d_confounding = a.floats("d_confounding"),
                                            .sums = loss_sums(a)}),
      ALM_ENTRY(bce_loss, supervised_arguments(a)),
      ALM_ENTRY(squared_loss, supervised_arguments(a)),
      ALM_ENTRY(sigmoid_squared_loss, supervised_arguments(a)),
      ALM_ENTRY(softmax_loss, SoftmaxLoss{.logits = a.matrix("logits"),
                                          .label = a.integers("label"),
                                          .weight = a.floats("weight"),
                                          .scale = scalar(a, "scale"),
                                          .d_logits = a.matrix("d_logits"),
                                          .sum = a.doubles("sum")}),
  };
}

}  // namespace alm::op_cases
