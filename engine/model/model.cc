#include "engine/model/model.h"

#include <bit>

#include "engine/model/alm_mta.h"
#include "engine/model/arm_model.h"
#include "io/digest.h"

namespace alm {
namespace {

static_assert(std::endian::native == std::endian::little, "digests are of little-endian floats");

void digest_table(const RowTable& table, io::Sha256& digest) {
  for (int64_t shard = 0; shard < kVirtualShards; ++shard) {
    for (int64_t row = shard; row < table.rows; row += kVirtualShards) {
      const float* const at = &table.weights[static_cast<size_t>(row * table.width)];
      digest.update(std::as_bytes(std::span(at, static_cast<size_t>(table.width))));
    }
  }
}

}  // namespace

ModelWeights Model::empty_weights() const {
  ModelWeights weights;
  const io::LogSchema& schema = stats_->schema;
  if (schema.cat > 0) weights.cats = {"cats", options_.cat_rows, options_.cat_width, {}, {}};
  if (schema.item) weights.items = {"items", options_.item_rows, options_.item_width, {}, {}};
  return weights;
}

ModelWeights Model::fresh_weights(uint64_t seed) const {
  ModelWeights weights = empty_weights();
  weights.dense.resize(static_cast<size_t>(layout_.size()));
  layout_.initialise(seed, weights.dense);
  weights.cats.initialise(seed, 0.05);
  weights.items.initialise(seed, 0.01);
  return weights;
}

void Model::loss(const Pass& pass, const ModelInputs& inputs, const WeightsView& weights,
                 LossSums& sums, RowGradients* rows) const {
  ALM_CHECK(pass.weights == weights.dense);
  ALM_CHECK((pass.gradient == nullptr) == (rows == nullptr));
  if (inputs.journeys > 0) do_loss(pass, inputs, weights, sums, rows);
}

void Model::refit_loss(const Pass& pass, const ModelInputs& inputs, const WeightsView& weights,
                       LossSums& sums) const {
  ALM_CHECK(pass.weights == weights.dense);
  if (inputs.journeys > 0) do_refit_loss(pass, inputs, weights, sums);
}

void Model::discriminator_loss(const Pass& pass, const ModelInputs& inputs,
                               const WeightsView& weights, LossSums& sums) const {
  ALM_CHECK(pass.weights == weights.dense);
  if (inputs.journeys > 0) do_discriminator_loss(pass, inputs, weights, sums);
}

Critic::Activations Model::critic_forward(const Pass& pass, const ModelInputs& inputs,
                                          const WeightsView& weights) const {
  ALM_CHECK(critic() != nullptr && pass.weights == weights.dense);
  return do_critic_forward(pass, inputs, weights);
}

std::unique_ptr<Model> make_model(std::shared_ptr<const FeatureStats> stats,
                                  const ModelOptions& options, int64_t positions) {
  if (stats->schema.is_arm_log()) {
    return std::make_unique<ArmModel>(std::move(stats), options, positions);
  }
  return std::make_unique<AlmMta>(std::move(stats), options, positions);
}

std::string weights_digest(const Model& model, const ModelWeights& weights) {
  io::Sha256 digest;
  for (const ParameterLayout::Entry* entry : model.layout().by_name()) {
    digest.update(std::as_bytes(entry->tensor.vector(weights.dense.data())));
  }
  digest_table(weights.cats, digest);
  digest_table(weights.items, digest);
  return digest.hex();
}

}  // namespace alm
