// What proxy mode adds to the model: the code, its adversary and its matching score, and their
// losses.
//   L_proxy = BCE(match, value), touches whose match is undefined left out (never read as 0)
//   L_adv   = BCE(outcome of the journey, discriminator(code)), each journey counting once; the
//             discriminator descends it, the code ascends it: gradient times -pass.reversal
//   L_nce   = InfoNCE of the matching score
#pragma once

#include "engine/model/discriminator.h"
#include "engine/model/matching.h"
#include "engine/model/mediator_code.h"

namespace alm {

class ProxyBranch {
 public:
  struct Activations {
    Matrix<const float> seen;  // [t, proxy columns] indicators of the proxies read
    MediatorCode::Activations code;
    Discriminator::Activations discriminator;
    Matching::Activations matching;
  };
  ProxyBranch(ParameterLayout& layout, const FeatureStats& stats, const ModelOptions& options);
  bool reads_proxies() const { return code_.reads_proxies(); }
  const Discriminator& discriminator() const { return discriminator_; }

  // ordered, encoded [t, touch_width]: touches in their order and on their own.
  Activations forward(const Pass& pass, const ModelInputs& inputs, Matrix<const float> ordered,
                      Matrix<const float> encoded, Matrix<const float> context) const;
  // The matching score of every touch, NaN in journeys without a matched touch. For display.
  std::span<float> omega(const Pass& pass, const ModelInputs& inputs, const Activations& a) const {
    return matching_.omega(pass, inputs, a.matching);
  }
  // Adds the three losses to `sums`, but for what ProxyInputs::add_known() does. With a gradient:
  // d_value [t, 1], which holds what the outcome loss gave, is used up, the other three are added
  // to.
  void loss(const Pass& pass, const ModelInputs& inputs, Matrix<const float> ordered,
            Matrix<const float> context, const Activations& activations, LossSums& sums,
            Matrix<float> d_value, Matrix<float> d_ordered, Matrix<float> d_encoded,
            Matrix<float> d_context) const;
  // L_adv alone, and the weight of the journeys, for steps in which nothing but the discriminator
  // learns.
  void discriminator_loss(const Pass& pass, const ModelInputs& inputs,
                          const Activations& activations, LossSums& sums) const;

 private:
  // With a gradient, that of the code is added to d_code, reversed; empty: a detached copy.
  void adversary(const Pass& pass, const ModelInputs& inputs, const Activations& activations,
                 LossSums& sums, Matrix<float> d_code) const;

  const ModelOptions& options_;
  MediatorCode code_;
  Matching matching_;
  Discriminator discriminator_;  // last in the arena: it may take steps of its own
};

}  // namespace alm
