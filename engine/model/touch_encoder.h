// A touch on its own, and a touch in its order.
//   features = [cluster embedding, position embedding, scalars, dense + missing] (+ item embedding)
//   encoded  = relu(relu(features w1 + item w_item + b1) w2 + b2)
//   ordered  = encoded + (causal self-attention over the journey's touches, learnt start token) w_o
#pragma once

#include "engine/model/embedding.h"
#include "engine/model/feature_stats.h"
#include "engine/model/inputs.h"
#include "engine/model/layers.h"

namespace alm {

class TouchEncoder {
 public:
  struct Activations {
    Matrix<float> features;     // [t, features]
    Matrix<float> item;         // [t, item_width], empty without items
    MixedMatrix<float> hidden;  // [t, touch_hidden]
    MixedMatrix<float> out;     // [t, touch_width]
  };
  TouchEncoder(ParameterLayout& layout, const FeatureStats& stats, const ModelOptions& options,
               int64_t positions);
  // With the items, and as if every item were unknown; both read the same features.
  struct Both {
    Activations known;
    Activations plain;
  };
  // `items`: the row table; without rows: as if every item were unknown.
  Activations forward(const Pass& pass, const ModelInputs& inputs, Matrix<const float> items) const;
  Both forward_both(const Pass& pass, const ModelInputs& inputs, Matrix<const float> items) const;
  // Gradients are of what went into the last ReLU. Of a forward pass without items.
  void backward(const Pass& pass, const ModelInputs& inputs, const Activations& activations,
                MixedMatrix<float> d_out) const;
  // Returns the gradient of the rows of inputs.item_rows.
  Matrix<float> backward_both(const Pass& pass, const ModelInputs& inputs, const Both& both,
                              MixedMatrix<float> d_known, MixedMatrix<float> d_plain) const;

 private:
  Matrix<float> read_features(const Pass& pass, const ModelInputs& inputs) const;
  // hidden = relu(hidden + items w).
  void add_items(const Pass& pass, const ModelInputs& inputs, Matrix<const float> items,
                 Activations& activations) const;
  // d_hidden: of what went into the hidden ReLU.
  void features_backward(const Pass& pass, const ModelInputs& inputs,
                         const Activations& activations, MixedMatrix<float> d_hidden) const;

  const FeatureStats& stats_;
  Tensor cluster_;   // [K, cluster_width]
  Tensor position_;  // [positions, position_width]
  Linear from_features_;
  Linear from_item_;
  Linear out_;
};

class TouchOrder {
 public:
  struct Activations {
    MixedMatrix<float> qkv;    // [t, 3 W]
    MixedMatrix<float> mixed;  // [t, W]
    Matrix<float> log_sum;     // [t, heads]
    MixedMatrix<float> out;    // [t, W]
  };
  TouchOrder(ParameterLayout& layout, const ModelOptions& options);
  Activations forward(const Pass& pass, Csr touches, MixedMatrix<const float> encoded) const;
  // The same in steps, for touches put together of rows that are there already.
  MixedMatrix<float> qkv(const Pass& pass, MixedMatrix<const float> encoded) const;
  // `mixed` and `log_sum`.
  Activations mix(const Pass& pass, Csr touches, MixedMatrix<float> qkv) const;
  // The layer behind what is mixed and then `next`, as one: weights [W, next], bias [1, next].
  struct Joined {
    Matrix<float> w;
    Matrix<float> bias;
  };
  Joined joined_with(const Pass& pass, const Linear& next) const;
  // `gradient` [t, W] is that of the ordered touches, and becomes that of the encoded ones.
  void backward(const Pass& pass, Csr touches, MixedMatrix<const float> encoded,
                const Activations& activations, MixedMatrix<float> gradient) const;

 private:
  int64_t heads_;
  Linear qkv_;
  Tensor start_;  // [2, W]
  Linear out_;
};

}  // namespace alm
