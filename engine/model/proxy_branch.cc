#include "engine/model/proxy_branch.h"

namespace alm {
namespace {

int64_t proxy_columns(const FeatureStats& stats, const ModelOptions& options) {
  const io::LogSchema& schema = stats.schema;
  return 2 * proxies_read(options, schema.proxies, schema.proxy_leaky);
}

}  // namespace

ProxyBranch::ProxyBranch(ParameterLayout& layout, const FeatureStats& stats,
                         const ModelOptions& options)
    : options_(options),
      code_(layout, options, proxy_columns(stats, options)),
      matching_(layout, options),
      discriminator_(layout, options) {}

ProxyBranch::Activations ProxyBranch::forward(const Pass& pass, const ModelInputs& inputs,
                                              Matrix<const float> ordered,
                                              Matrix<const float> encoded,
                                              Matrix<const float> context) const {
  Activations a;
  a.seen = inputs.proxy.seen;
  a.code = code_.forward(pass, inputs.csr, ordered, context, a.seen);
  a.discriminator = discriminator_.forward(pass, a.code.code);
  a.matching = matching_.forward(pass, inputs.proxy, a.code.code, encoded);
  return a;
}

void ProxyBranch::adversary(const Pass& pass, const ModelInputs& inputs, const Activations& a,
                            LossSums& sums, Matrix<float> d_code) const {
  const Matrix<float> d_logit =
      pass.gradient != nullptr ? pass.memory.matrix(inputs.touches, 1) : Matrix<float>{};
  pass.ops.bce_loss(pass.queue, {.output = flat(a.discriminator.logit),
                                 .target = inputs.proxy.outcome,
                                 .weight = inputs.proxy.journey_weight,
                                 .d_output = flat(d_logit),
                                 .sum = &sums.adversary,
                                 .weight_sum = &sums.adversary_weight});
  if (pass.gradient == nullptr) return;
  discriminator_.backward(pass, a.code.code, a.discriminator, d_logit, d_code, pass.reversal);
}

void ProxyBranch::discriminator_loss(const Pass& pass, const ModelInputs& inputs,
                                     const Activations& a, LossSums& sums) const {
  adversary(pass, inputs, a, sums, {});
  for (const float weight : inputs.weight) sums.weight += double{weight};
}

void ProxyBranch::loss(const Pass& pass, const ModelInputs& inputs, Matrix<const float> ordered,
                       Matrix<const float> context, const Activations& a, LossSums& sums,
                       Matrix<float> d_value, Matrix<float> d_ordered, Matrix<float> d_encoded,
                       Matrix<float> d_context) const {
  const bool backward = pass.gradient != nullptr;
  const int64_t touches = inputs.touches;
  const Matrix<float> d_code =
      backward ? pass.zero_matrix(touches, options_.code_width) : Matrix<float>{};
  if (pass.objective != Objective::outcome) {
    const Matrix<float> d_proxy = backward ? pass.memory.matrix(touches, 1) : Matrix<float>{};
    pass.ops.bce_loss(pass.queue, {.output = flat(a.code.logit),
                                   .target = inputs.proxy.match,
                                   .weight = inputs.proxy.touch_weight,
                                   .scale = static_cast<float>(options_.w_proxy),
                                   .d_output = flat(d_proxy),
                                   .sum = &sums.proxy,
                                   .weight_sum = &sums.proxy_weight});
    adversary(pass, inputs, a, sums, d_code);
    matching_.loss(
        pass, inputs.proxy, a.code.code, a.matching, static_cast<float>(options_.temperature),
        static_cast<float>(options_.w_contrastive), &sums.contrastive, d_code, d_encoded);
    if (backward) pass.ops.accumulate(pass.queue, {.x = flat(d_proxy), .y = flat(d_value)});
  }
  if (!backward) return;
  code_.backward(pass, inputs.csr, ordered, context, a.seen, a.code, d_value, d_code, d_ordered,
                 d_context);
}

}  // namespace alm
