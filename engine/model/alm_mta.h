// The ALM-MTA model of sequence logs: which module feeds which (contract 5). Mediator observed:
//
//   context ----------------+------------------+---------------+-----------------+
//   touch -> order -> mediator head p_j        |               |                 |
//   touch (item unknown) -> potency head g_j --+               |                 |
//   touch -> pool -> confounding head h -----------------------+                 |
//   context -> second stage Lambda ----------------------------------------------+
//
// Beside them the removal net reads the frozen context (removal_net.h), and the critic the frozen
// context and touches (critic.h).
//
// Binary outcome: the separable head, -log P(Y=0|M,T,X) = sum_j m_j g_j + h (method 3.1).
// Continuous: the additive head, E[Y|M,T,X] = sum_j m_j g_j + h on the standardised scale, no
// second stage.
//
// --outcome-head general (mediator observed, either outcome): the touches' potency head and the
// confounding head join in one function of (M, T, X) without that assumption (general_head.h); no
// second stage, and with it no Lambda, critic or removal net.
//
// Proxy mode (binary outcomes): m_j is the value of a learned code (proxy_branch.h) in place of an
// event, in the head as its expectation: -log P(Y=0) = sum_j -log(1 - q_j value_j) + h. Where the
// code reads proxies, the mediator head learns its law, p_j = E[value_j | touches, X]; else there
// is none, since the code is that function itself.
#pragma once

#include <optional>

#include "engine/model/context_encoder.h"
#include "engine/model/edited_journeys.h"
#include "engine/model/general_head.h"
#include "engine/model/journey_head.h"
#include "engine/model/model.h"
#include "engine/model/proxy_branch.h"
#include "engine/model/removal_net.h"
#include "engine/model/touch_encoder.h"

namespace alm {

class AlmMta final : public Model {
 public:
  AlmMta(std::shared_ptr<const FeatureStats> stats, const ModelOptions& options, int64_t positions);

  bool additive() const { return stats_->schema.outcome == io::OutcomeKind::continuous; }
  bool general() const { return general_.has_value(); }
  bool has_second_stage() const { return !additive() && !general(); }
  // Proxy mode, and whether the code varies once touches and context are known.
  bool has_code() const { return proxy_.has_value(); }
  bool has_law() const { return mediator_.has_value(); }
  int64_t loss_last() const override;
  std::vector<int64_t> gradient_cuts() const override { return {order_first_, touch_first_}; }
  int64_t trunk_last() const override { return trunk_last_; }
  int64_t discriminator_first() const override;
  int64_t discriminator_last() const override;
  // The second stage and the removal net: neighbours in the arena.
  int64_t refit_first() const override;
  int64_t refit_last() const override;
  bool refit_reads_pairs() const override { return removal_.has_value(); }

  const Critic* critic() const override { return critic_ ? &*critic_ : nullptr; }
  // Null in proxy mode, with the general head and in logs of more than kRemovalClusters clusters.
  const RemovalNet* removal() const { return removal_ ? &*removal_ : nullptr; }

  // What touches bring to the laws of mediators: their own, and those of the touches after them.
  struct TouchRows {
    Matrix<float> encoded;  // [t, touch_width]
    Matrix<float> qkv;      // [t, 3 touch_width]
  };

  // Raw outputs of a micro-block; logits before sigmoid and softplus. Live in pass.memory.
  struct Scores {
    Matrix<float> context;  // [n, context_width]
    TouchRows touches;
    Matrix<float> mediator_logit;  // [t, 1]; empty where the code has no law of its own
    Matrix<float> potency;         // [t, 1]
    Matrix<float> confounding;     // [n, 1]
    Matrix<float> second_stage;    // [n, 1], empty when additive or general
    // General head only: what eta is made of, see general_logit().
    Matrix<float> base;   // [n, confounding_hidden]
    Matrix<float> steps;  // [t, confounding_hidden]
    // Proxy mode only.
    Matrix<float> code;                 // [t, code_width]
    Matrix<float> value_logit;          // [t, 1]
    Matrix<float> discriminator_logit;  // [t, 1]
    std::span<const float> omega;       // [t] matching score, NaN where there is none
  };
  Scores score(const Pass& pass, const ModelInputs& inputs, const WeightsView& weights) const;

  // eta of a journey less its sum_j m_j g_j: `base` its row of it, `engaged` the sum of the steps
  // of its engaged touches, [confounding_hidden] both.
  double general_logit(const ModelWeights& weights, const float* base, const float* engaged) const {
    return confounding_.logit_of_pair(weights.dense.data(), base, engaged);
  }

  // What the critic's Lambda is made of. Live in pass.memory; only where there is a critic.
  struct CriticScores {
    Matrix<float> x, y;          // [n, critic_width]
    ConfoundingHead::Halves h;   // of the confounding term
    Matrix<float> second_stage;  // [n, 1] logit of the other Lambda
  };
  CriticScores critic_scores(const Pass& pass, const ModelInputs& inputs,
                             const WeightsView& weights) const;
  // exp(-h(T, X)) of one journey's touches under another's context, by their halves.
  double survival_of_pair(const ModelWeights& weights, const float* touches,
                          const float* context) const;

  // Of touches each at a place of its own (Inputs::fill_touches).
  TouchRows touch_rows(const Pass& pass, const ModelInputs& inputs,
                       const WeightsView& weights) const;
  EditedHead edited_head(const Pass& pass) const;
  // Mediator logits of the touches asked for, [asked, 1]. `head` of the weights of the pass;
  // `context` [journeys, context_width].
  Matrix<float> edited_logit(const Pass& pass, const EditedHead& head, const EditedJourneys& edited,
                             Matrix<const float> context) const;

 private:
  struct Activations;
  Activations forward(const Pass& pass, const ModelInputs& inputs,
                      const WeightsView& weights) const;
  void law_loss(const Pass& pass, const ModelInputs& inputs, const Activations& activations,
                float scale, LossSums& sums, Matrix<float> d_law) const;
  void do_loss(const Pass& pass, const ModelInputs& inputs, const WeightsView& weights,
               LossSums& sums, RowGradients* rows) const override;
  void do_discriminator_loss(const Pass& pass, const ModelInputs& inputs,
                             const WeightsView& weights, LossSums& sums) const override;
  void do_refit_loss(const Pass& pass, const ModelInputs& inputs, const WeightsView& weights,
                     LossSums& sums) const override;
  Critic::Activations do_critic_forward(const Pass& pass, const ModelInputs& inputs,
                                        const WeightsView& weights) const override;

  ContextEncoder context_;
  int64_t touch_first_;  // arena offset at which the module that follows begins
  TouchEncoder touch_;
  int64_t order_first_;  // likewise
  TouchOrder order_;
  int64_t trunk_last_;                 // arena offset at which the encoders end
  std::optional<TouchHead> mediator_;  // of events, or of the code's law
  TouchHead potency_;
  ConfoundingHead confounding_;
  SecondStage second_stage_;
  std::optional<GeneralHead> general_;
  std::optional<ProxyBranch> proxy_;
  std::optional<RemovalNet> removal_;
  std::optional<Critic> critic_;
};

}  // namespace alm
