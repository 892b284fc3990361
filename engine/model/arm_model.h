// The model of arm logs (one touch a journey, its cluster is the arm a; contract 5): the general
// head.
//   p(m=1|a,X) = sigmoid(head(cluster_a, context)),  pi(a|X) = softmax(context w + b)_a,
//   mu(m,a,X)  = head([cluster_a, m], context), sigmoid for binary outcomes, on the standardised
//   scale for continuous ones. Sums over m and a are exact, so nothing is sampled and no second
//   stage is needed.
#pragma once

#include "engine/model/context_encoder.h"
#include "engine/model/model.h"

namespace alm {

class ArmModel final : public Model {
 public:
  ArmModel(std::shared_ptr<const FeatureStats> stats, const ModelOptions& options,
           int64_t positions);

  int64_t arms() const { return stats_->schema.clusters; }
  bool binary() const { return stats_->schema.outcome == io::OutcomeKind::binary; }

  std::vector<int64_t> gradient_cuts() const override { return {cluster_.offset}; }

  // Nuisances of every (journey, arm), row-major [n * K]. Live in pass.memory. Probabilities, not
  // logits; mu on the scale of the log's outcome.
  struct Nuisances {
    std::span<float> mediator;    // p(m=1|a,X)
    std::span<float> outcome[2];  // mu(0,a,X), mu(1,a,X)
    std::span<float> propensity;  // pi(a|X)
  };
  Nuisances nuisances(const Pass& pass, const ModelInputs& inputs,
                      const WeightsView& weights) const;

 private:
  void do_loss(const Pass& pass, const ModelInputs& inputs, const WeightsView& weights,
               LossSums& sums, RowGradients* rows) const override;
  // [cluster embedding | m] of every touch; m null: without the mediator column.
  Matrix<float> encode(const Pass& pass, std::span<const int64_t> cluster,
                       std::span<const float> mediator) const;
  void scatter(const Pass& pass, std::span<const int64_t> cluster,
               Matrix<const float> d_encoded) const;

  ContextEncoder context_;
  Tensor cluster_;  // [K, cluster_width]
  TouchHead mediator_;
  TouchHead outcome_;
  Linear propensity_;
};

}  // namespace alm
