// Weight updates. Memory-bound: AdamW moves 28 bytes a weight, Adagrad rows 12 (4 of state a row).
#include <cmath>
#include <limits>

#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

namespace alm::ALM_SIMD {

void gradient_scale(Queue&, const GradientScale& a) {
  const double* const losses = &a.losses->mediator;
  bool finite = true;
  for (size_t i = 0; i < sizeof(LossSums) / sizeof(double); ++i) {
    finite = finite && std::fabs(losses[i]) <= kLargestLoss;  // false for NaN
  }
  double squares = 0;
  for (const double part : a.squares) squares += part;
  const double mean = a.losses->weight > 0 ? 1 / a.losses->weight : 0;
  const double norm = std::sqrt(squares) * mean;
  const double clip_norm = double{a.settings->clip_norm};
  finite = finite && std::isfinite(norm);
  *a.scale =
      !finite
          ? std::numeric_limits<float>::quiet_NaN()
          : static_cast<float>(clip_norm > 0 && norm > clip_norm ? mean * clip_norm / norm : mean);
}

void adamw(Queue&, const AdamW& a) {
  const int64_t count = std::ssize(a.weights);
  ALM_CHECK(std::ssize(a.gradient) == count && std::ssize(a.first_moment) == count &&
            std::ssize(a.second_moment) == count && std::ssize(a.decay_mask) == count);
  const float scale = *a.gradient_scale;
  if (std::isnan(scale)) return;
  const float unbias1 = a.settings->unbias1;
  const float unbias2 = a.settings->unbias2;
  const float fresh1 = 1.0f - a.beta1;
  const float fresh2 = 1.0f - a.beta2;
  float* __restrict weights = a.weights.data();
  const float* __restrict gradient = a.gradient.data();
  float* __restrict first = a.first_moment.data();
  float* __restrict second = a.second_moment.data();
  const float* __restrict decay = a.decay_mask.data();
  const float beta1 = a.beta1;
  const float beta2 = a.beta2;
  const float rate = a.settings->learning_rate;
  const float epsilon = a.epsilon;
  const float weight_decay = a.settings->weight_decay;
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * scale;
    const float m = beta1 * first[i] + fresh1 * g;
    const float v = beta2 * second[i] + fresh2 * g * g;
    first[i] = m;
    second[i] = v;
    const float update = m * unbias1 / (std::sqrt(v * unbias2) + epsilon);
    weights[i] -= rate * (update + weight_decay * decay[i] * weights[i]);
  }
}

void adagrad_rows(Queue&, const AdagradRows& a) {
  const int64_t count = std::ssize(a.rows);
  const int64_t width = a.table.cols;
  ALM_CHECK(a.gradient.rows == count && a.gradient.cols == width &&
            std::ssize(a.state) == a.table.rows);
  const float scale = *a.gradient_scale;
  if (width == 0 || std::isnan(scale)) return;
  const float rate = a.settings->row_learning_rate;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t ahead = i + 8;
    if (ahead < count) {
      __builtin_prefetch(&a.state[a.rows[ahead]]);
      prefetch_row(a.table.row(a.rows[ahead]), width);
    }
    const int64_t r = a.rows[i];
    const float* const gradient = a.gradient.row(i);
    const float square = dot(gradient, gradient, width) * scale * scale;
    const float state = a.state[r] + square / static_cast<float>(width);
    a.state[r] = state;
    const float step = -rate * scale / (std::sqrt(state) + a.epsilon);
    add_scaled(step, gradient, a.table.row(r), width);
  }
}

}  // namespace alm::ALM_SIMD
