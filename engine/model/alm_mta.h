// The ALM-MTA model of sequence logs, mediator observed: which module feeds which (contract 5).
//
//   context ----------------+------------------+---------------+-----------------+
//   touch -> order -> mediator head p_j        |               |                 |
//   touch (item unknown) -> potency head g_j --+               |                 |
//   touch -> pool -> confounding head h -----------------------+                 |
//   context -> second stage Lambda ----------------------------------------------+
//
// Binary outcome: the separable head, -log P(Y=0|M,T,X) = sum_j m_j g_j + h (method 3.1).
// Continuous: the additive head, E[Y|M,T,X] = sum_j m_j g_j + h on the standardised scale, no
// second stage.
#pragma once

#include "engine/model/context_encoder.h"
#include "engine/model/journey_head.h"
#include "engine/model/model.h"
#include "engine/model/touch_encoder.h"

namespace alm {

class AlmMta final : public Model {
 public:
  AlmMta(std::shared_ptr<const FeatureStats> stats, const ModelOptions& options, int64_t positions);

  bool additive() const { return stats_->schema.outcome == io::OutcomeKind::continuous; }
  int64_t refit_first() const override { return additive() ? 0 : second_stage_.first(); }
  int64_t refit_last() const override { return additive() ? 0 : second_stage_.last(); }

  // Raw outputs of a micro-block; logits before sigmoid and softplus. Live in pass.memory.
  struct Scores {
    Matrix<float> context;         // [n, context_width]
    Matrix<float> mediator_logit;  // [t, 1]
    Matrix<float> potency;         // [t, 1]
    Matrix<float> confounding;     // [n, 1]
    Matrix<float> second_stage;    // [n, 1], empty when additive
  };
  Scores score(const Pass& pass, const Inputs& inputs, const ModelWeights& weights) const;

  // The mediator logits alone, for edited journeys: `context` [n, context_width] holds the encoded
  // context of the journey each was made from. [t, 1].
  Matrix<float> mediator_logit(const Pass& pass, const Inputs& inputs, const ModelWeights& weights,
                               Matrix<const float> context) const;

 private:
  struct Activations;
  Activations forward(const Pass& pass, const Inputs& inputs, const ModelWeights& weights) const;
  void do_loss(const Pass& pass, const Inputs& inputs, const ModelWeights& weights, LossSums& sums,
               BlockRows* rows) const override;
  void do_refit_loss(const Pass& pass, const Inputs& inputs, const ModelWeights& weights,
                     LossSums& sums) const override;

  ContextEncoder context_;
  TouchEncoder touch_;
  TouchOrder order_;
  TouchHead mediator_;
  TouchHead potency_;
  ConfoundingHead confounding_;
  SecondStage second_stage_;
};

}  // namespace alm
