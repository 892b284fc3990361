// Context of a journey: [dense, missing indicators, embedded ids] -> hidden -> width, ReLU.
#pragma once

#include "engine/model/embedding.h"
#include "engine/model/feature_stats.h"
#include "engine/model/inputs.h"
#include "engine/model/layers.h"

namespace alm {

class ContextEncoder {
 public:
  struct Activations {
    Matrix<float> dense;   // [n, Fd + slots] standardised
    Matrix<float> cat;     // [n, Fc * cat_width]
    Matrix<float> hidden;  // [n, context_hidden]
    Matrix<float> out;     // [n, context_width]
  };
  ContextEncoder(ParameterLayout& layout, const FeatureStats& stats, const ModelOptions& options);
  // `cats`: the row table, without rows when the log has no ids.
  Activations forward(const Pass& pass, const ModelInputs& inputs, Matrix<const float> cats) const;
  // d_out is used up. Returns the gradient of the rows of inputs.cat_rows, empty without ids.
  Matrix<float> backward(const Pass& pass, const ModelInputs& inputs,
                         const Activations& activations, Matrix<float> d_out) const;

 private:
  const FeatureStats& stats_;
  Linear from_dense_;
  Linear from_cat_;
  Linear out_;
  int64_t cat_width_ = 0;
};

}  // namespace alm
