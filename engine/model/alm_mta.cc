#include "engine/model/alm_mta.h"

#include <cmath>

namespace alm {
namespace {

// Start values of neural.md 8: potencies small, confounding term below one.
constexpr double kPotencyBias = -2;
constexpr double kConfoundingBias = -1;

bool code_has_law(const FeatureStats& stats, const ModelOptions& options) {
  return proxies_read(options, stats.schema.proxies, stats.schema.proxy_leaky) > 0;
}

}  // namespace

struct AlmMta::Activations {
  ContextEncoder::Activations context;
  TouchEncoder::Both touch;  // twice the same without items
  TouchOrder::Activations order;
  TouchHead::Activations mediator;
  TouchHead::Activations potency;
  GeneralHead::Activations general;
  ConfoundingHead::Activations confounding;
  SecondStage::Activations second_stage;
  ProxyBranch::Activations proxy;
};

AlmMta::AlmMta(std::shared_ptr<const FeatureStats> stats, const ModelOptions& options,
               int64_t positions)
    : Model(std::move(stats), options, positions),
      context_(layout_, *stats_, options_),
      touch_first_(layout_.size()),
      touch_(layout_, *stats_, options_, positions),
      order_first_(layout_.size()),
      order_(layout_, options_),
      trunk_last_(layout_.size()),
      mediator_(options.proxy_mode() && !code_has_law(*stats_, options)
                    ? std::nullopt
                    : std::optional(TouchHead::add(layout_, "mediator", options.touch_width,
                                                   options.context_width, options.head_hidden,
                                                   stats_->schema.clusters, false, 0))),
      potency_(TouchHead::add(layout_, "potency", options.touch_width, options.context_width,
                              options.head_hidden, stats_->schema.clusters, true,
                              additive() || options.general_head() ? 0 : kPotencyBias)),
      confounding_(layout_, options_, additive() ? 0 : kConfoundingBias),
      second_stage_(layout_, options_) {
  if (options_.general_head()) {
    general_.emplace(layout_, options_);
    return;
  }
  if (options_.proxy_mode()) {
    proxy_.emplace(layout_, *stats_, options_);
  } else if (stats_->schema.clusters <= kRemovalClusters) {
    removal_.emplace(layout_, *stats_, options_);
  }
  if (options_.critic && !options_.proxy_mode() && !additive()) {
    critic_.emplace(layout_, options_, stats_->schema.clusters);
  }
}

int64_t AlmMta::loss_last() const {
  return removal_ ? removal_->first() : critic_ ? critic_->first() : layout_.size();
}
int64_t AlmMta::discriminator_first() const {
  return proxy_ ? proxy_->discriminator().first() : layout_.size();
}
int64_t AlmMta::discriminator_last() const {
  return proxy_ ? proxy_->discriminator().last() : layout_.size();
}

int64_t AlmMta::refit_first() const {
  if (has_second_stage()) return second_stage_.first();
  return removal_ ? removal_->first() : 0;
}
int64_t AlmMta::refit_last() const {
  if (removal_) return removal_->last();
  return has_second_stage() ? second_stage_.last() : 0;
}

AlmMta::Activations AlmMta::forward(const Pass& pass, const ModelInputs& inputs,
                                    const WeightsView& weights) const {
  Activations a;
  a.context = context_.forward(pass, inputs, weights.cats);
  if (weights.items.rows > 0) {
    a.touch = touch_.forward_both(pass, inputs, weights.items);
  } else {
    a.touch.known = a.touch.plain = touch_.forward(pass, inputs, {});
  }
  a.order = order_.forward(pass, inputs.csr, a.touch.known.out);
  if (mediator_) {
    a.mediator = mediator_->forward(pass, inputs.csr, inputs.cluster, a.order.out, a.context.out);
  }
  if (proxy_)
    a.proxy = proxy_->forward(pass, inputs, a.order.out.floats(), a.touch.known.out.floats(),
                              a.context.out);
  a.potency = potency_.forward(pass, inputs.csr, inputs.cluster, a.touch.plain.out, a.context.out,
                               general());
  if (general()) a.general = general_->forward(pass, inputs, a.mediator.logit, a.potency);
  a.confounding =
      confounding_.forward(pass, inputs.csr, a.touch.known.out, a.context.out, a.general.joined);
  if (has_second_stage()) a.second_stage = second_stage_.forward(pass, a.context.out);
  return a;
}

AlmMta::Scores AlmMta::score(const Pass& pass, const ModelInputs& inputs,
                             const WeightsView& weights) const {
  const Activations a = forward(pass, inputs, weights);
  Scores scores;
  scores.context = a.context.out;
  scores.touches = {a.touch.known.out.floats(), a.order.qkv.floats()};
  scores.mediator_logit = a.mediator.logit;
  scores.potency = a.potency.logit;
  scores.confounding = a.confounding.logit;
  scores.second_stage = a.second_stage.logit;
  if (general()) {
    const ConfoundingHead::Halves halves =
        confounding_.halves(pass, inputs.csr, a.touch.known.out, a.context.out);
    pass.ops.accumulate(pass.queue, {.x = flat(halves.touches), .y = flat(halves.context)});
    scores.base = halves.context;
    scores.steps = general_->steps(pass, a.potency);
  }
  if (proxy_) {
    scores.code = a.proxy.code.code;
    scores.value_logit = a.proxy.code.logit;
    scores.discriminator_logit = a.proxy.discriminator.logit;
    scores.omega = proxy_->omega(pass, inputs, a.proxy);
  }
  return scores;
}

// The law of the code's value given touches and context, p = E[value]: the value is held constant.
void AlmMta::law_loss(const Pass& pass, const ModelInputs& inputs, const Activations& a,
                      float scale, LossSums& sums, Matrix<float> d_law) const {
  const std::span<float> value = pass.memory.floats(inputs.touches);
  pass.ops.sigmoid(pass.queue, {.logit = flat(a.proxy.code.logit), .scale = 1, .out = value});
  pass.ops.bce_loss(pass.queue, {.output = flat(a.mediator.logit),
                                 .target = value,
                                 .weight = inputs.proxy.touch_weight,
                                 .scale = scale,
                                 .d_output = flat(d_law),
                                 .sum = &sums.law});
}

void AlmMta::do_discriminator_loss(const Pass& pass, const ModelInputs& inputs,
                                   const WeightsView& weights, LossSums& sums) const {
  const ContextEncoder::Activations context = context_.forward(pass, inputs, weights.cats);
  const TouchEncoder::Activations touch = touch_.forward(pass, inputs, weights.items);
  const TouchOrder::Activations order = order_.forward(pass, inputs.csr, touch.out);
  proxy_->discriminator_loss(
      pass, inputs,
      proxy_->forward(pass, inputs, order.out.floats(), touch.out.floats(), context.out), sums);
}

void AlmMta::do_loss(const Pass& pass, const ModelInputs& inputs, const WeightsView& weights,
                     LossSums& sums, RowGradients* rows) const {
  const Activations a = forward(pass, inputs, weights);
  const bool backward = pass.gradient != nullptr;
  const int64_t n = inputs.journeys;
  const int64_t t = inputs.touches;
  const auto wanted = [&](int64_t rows_wanted) {
    return backward ? pass.memory.matrix(rows_wanted, 1) : Matrix<float>{};
  };
  const bool of_outcome = pass.objective != Objective::mediator;
  const bool of_mediator = pass.objective != Objective::outcome;
  const float w_mediator = of_mediator ? static_cast<float>(options_.w_mediator) : 0;
  const float w_outcome = of_outcome ? static_cast<float>(options_.w_outcome) : 0;
  const float w_second = of_outcome ? static_cast<float>(options_.w_second) : 0;
  const Matrix<float> d_mediator = wanted(t);
  const Matrix<float> d_value = proxy_ ? wanted(t) : Matrix<float>{};
  const Matrix<float> d_potency = wanted(t);
  const Matrix<float> d_confounding = wanted(n);
  const Matrix<float> d_second = wanted(n);
  if (general()) {
    general_->loss(pass, inputs, !additive(), w_mediator, w_outcome, a.general, a.mediator.logit,
                   a.confounding.logit, sums, d_mediator, d_confounding);
  } else if (additive()) {
    pass.ops.additive_loss(pass.queue, {.touches = inputs.csr,
                                        .mediator_logit = flat(a.mediator.logit),
                                        .potency = flat(a.potency.logit),
                                        .confounding = flat(a.confounding.logit),
                                        .mediator = inputs.mediator,
                                        .outcome = inputs.outcome,
                                        .weight = inputs.weight,
                                        .w_mediator = w_mediator,
                                        .w_outcome = w_outcome,
                                        .d_mediator_logit = flat(d_mediator),
                                        .d_potency = flat(d_potency),
                                        .d_confounding = flat(d_confounding),
                                        .sums = &sums});
  } else {
    // In proxy mode no mediator is observed, and the value of the code stands for its law.
    pass.ops.separable_loss(pass.queue,
                            {.touches = inputs.csr,
                             .mediator_logit = flat(proxy_ ? a.proxy.code.logit : a.mediator.logit),
                             .potency = flat(a.potency.logit),
                             .confounding = flat(a.confounding.logit),
                             .second_stage = flat(a.second_stage.logit),
                             .mediator = inputs.mediator,
                             .outcome = inputs.outcome,
                             .weight = inputs.weight,
                             .w_mediator = w_mediator,
                             .w_outcome = w_outcome,
                             .w_second = w_second,
                             .d_mediator_logit = flat(proxy_ ? d_value : d_mediator),
                             .d_potency = flat(d_potency),
                             .d_confounding = flat(d_confounding),
                             .d_second_stage = flat(d_second),
                             .sums = &sums});
  }
  if (proxy_ && mediator_) law_loss(pass, inputs, a, w_mediator, sums, d_mediator);

  const auto zeros = [&](int64_t rows_wanted, int64_t width) {
    return backward ? pass.zero_matrix(rows_wanted, width) : Matrix<float>{};
  };
  const Matrix<float> d_context = zeros(n, options_.context_width);
  // The gradient of the ordered touches, then of the touches themselves.
  MixedMatrix<float> d_touch;
  Matrix<float> d_matched;  // what the matching score brings the touches
  if (proxy_) {
    const Matrix<float> d_ordered = zeros(t, options_.touch_width);
    d_matched = zeros(t, options_.touch_width);
    proxy_->loss(pass, inputs, a.order.out.floats(), a.context.out, a.proxy, sums, d_value,
                 d_ordered, d_matched, d_context);
    d_touch = d_ordered;
  } else if (backward) {
    d_touch = pass.memory.activations(t, options_.touch_width);  // filled by the mediator head
  }
  if (!backward) return;

  if (has_second_stage()) {
    second_stage_.backward(pass, a.context.out, a.second_stage, d_second, d_context);
  }
  const ConfoundingHead::Gradients of_confounding =
      confounding_.backward(pass, a.context.out, a.confounding, d_confounding, d_context);
  MixedMatrix<float> d_hidden;  // of the potency head
  if (general()) {
    d_hidden = general_->backward(pass, inputs, a.general, a.potency, of_confounding.joined,
                                  d_confounding, d_potency, d_mediator);
  }
  if (mediator_) {
    mediator_->backward(pass, inputs.csr, inputs.cluster, a.order.out, a.context.out, a.mediator,
                        d_mediator, d_touch, d_context, {.accumulate_dx = has_code()});
  }
  order_.backward(pass, inputs.csr, a.touch.known.out, a.order, d_touch);
  if (proxy_) pass.ops.accumulate(pass.queue, {.x = flat(d_matched), .y = flat(d_touch.floats())});
  const bool items = weights.items.rows > 0;
  const MixedMatrix<float> d_plain =
      items ? pass.memory.activations(t, options_.touch_width) : d_touch;
  // Without items the two are one, and the pool, which comes last, takes both past the ReLU.
  potency_.backward(pass, inputs.csr, inputs.cluster, a.touch.plain.out, a.context.out, a.potency,
                    d_potency, d_plain, d_context,
                    {.d_hidden = d_hidden, .accumulate_dx = !items, .mask_dx = items});
  confounding_.backward_to_touches(pass, inputs.csr, a.touch.known.out, a.confounding,
                                   of_confounding.pooled, d_touch);
  pass.gradient_complete(order_first_);
  if (items) {
    rows->items = touch_.backward_both(pass, inputs, a.touch, d_touch, d_plain);
  } else {
    touch_.backward(pass, inputs, a.touch.plain, d_touch);
  }
  pass.gradient_complete(touch_first_);
  rows->cats = context_.backward(pass, inputs, a.context, d_context);
}

void AlmMta::do_refit_loss(const Pass& pass, const ModelInputs& inputs, const WeightsView& weights,
                           LossSums& sums) const {
  const ContextEncoder::Activations context = context_.forward(pass, inputs, weights.cats);
  if (additive()) {
    // Numbers as their own target: of the loss only its weight is not 0.
    pass.ops.squared_loss(pass.queue, {.output = inputs.weight,
                                       .target = inputs.weight,
                                       .weight = inputs.weight,
                                       .d_output = {},
                                       .weight_sum = &sums.weight});
    removal_->loss(pass, inputs, context.out, {}, &sums.propensity);
    return;
  }
  const TouchEncoder::Activations touch = touch_.forward(pass, inputs, weights.items);
  const ConfoundingHead::Activations confounding =
      confounding_.forward(pass, inputs.csr, touch.out, context.out);
  const SecondStage::Activations second = second_stage_.forward(pass, context.out);
  const std::span<float> target = pass.memory.floats(inputs.journeys);
  // exp(-h) with h = softplus(logit) is sigmoid(-logit).
  pass.ops.sigmoid(pass.queue, {.logit = flat(confounding.logit), .scale = -1, .out = target});
  const Matrix<float> d_second =
      pass.gradient != nullptr ? pass.memory.matrix(inputs.journeys, 1) : Matrix<float>{};
  pass.ops.sigmoid_squared_loss(pass.queue, {.output = flat(second.logit),
                                             .target = target,
                                             .weight = inputs.weight,
                                             .scale = 1,
                                             .d_output = flat(d_second),
                                             .sum = &sums.second_stage,
                                             .weight_sum = &sums.weight});
  if (pass.gradient != nullptr) {
    second_stage_.backward(pass, context.out, second, d_second, {});
  }
  if (removal_) removal_->loss(pass, inputs, context.out, target, &sums.propensity);
}

Critic::Activations AlmMta::do_critic_forward(const Pass& pass, const ModelInputs& inputs,
                                              const WeightsView& weights) const {
  return critic_->forward(pass, inputs, touch_.forward(pass, inputs, weights.items).out.floats(),
                          context_.forward(pass, inputs, weights.cats).out);
}

AlmMta::CriticScores AlmMta::critic_scores(const Pass& pass, const ModelInputs& inputs,
                                           const WeightsView& weights) const {
  const Matrix<float> context = context_.forward(pass, inputs, weights.cats).out;
  const Matrix<float> encoded = touch_.forward(pass, inputs, weights.items).out.floats();
  const Critic::Activations sides = critic_->forward(pass, inputs, encoded, context);
  return {sides.x, sides.y, confounding_.halves(pass, inputs.csr, encoded, context),
          second_stage_.forward(pass, context).logit};
}

double AlmMta::survival_of_pair(const ModelWeights& weights, const float* touches,
                                const float* context) const {
  return 1 / (1 + std::exp(confounding_.logit_of_pair(weights.dense.data(), touches, context)));
}

}  // namespace alm
