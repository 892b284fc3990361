#include "engine/model/matching.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace alm {
namespace {

// [rows, cols] in room for a row a touch: how many pairs a micro-block has varies, its memory does
// not.
Matrix<float> in_room_of(const Pass& pass, int64_t touches, int64_t rows, int64_t cols) {
  return {pass.memory.floats(touches * cols).data(), rows, cols};
}

void clear(const Pass& pass, Matrix<float> of) {
  pass.queue.clear(of.data, std::ssize(flat(of)) * int64_t{sizeof(float)});
}

}  // namespace

Matching::Matching(ParameterLayout& layout, const ModelOptions& options) {
  const auto start = [](int64_t inputs) { return Start::normal(1 / std::sqrt(double(inputs))); };
  touch_ = Linear::add_without_bias(layout, "matching/touch", options.code_width,
                                    options.match_width, start(options.code_width));
  upload_ = Linear::add_without_bias(layout, "matching/upload", options.touch_width,
                                     options.match_width, start(options.touch_width));
}

Matching::Activations Matching::forward(const Pass& pass, const ProxyView& inputs,
                                        Matrix<const float> code,
                                        Matrix<const float> encoded) const {
  Activations activations;
  activations.touch = pass.memory.matrix(code.rows, touch_.w.cols);
  const auto room = [&](int64_t rows, int64_t cols) {
    return in_room_of(pass, code.rows, rows, cols);
  };
  activations.matched = room(inputs.uploads, encoded.cols);
  activations.upload = room(inputs.uploads, upload_.w.cols);
  const Matrix<float> of_pairs = room(inputs.pairs(), encoded.cols);
  clear(pass, activations.matched);
  touch_.forward(pass, code, activations.touch, false);
  pass.ops.gather_rows(pass.queue, {.table = encoded, .rows = inputs.pair_touch, .out = of_pairs});
  pass.ops.scatter_rows(
      pass.queue, {.d_out = of_pairs, .rows = inputs.pair_upload, .gradient = activations.matched});
  upload_.forward(pass, activations.matched, activations.upload, false);
  return activations;
}

std::span<float> Matching::omega(const Pass& pass, const ModelInputs& inputs,
                                 const Activations& activations) const {
  const std::span<float> result = pass.memory.floats(inputs.touches);
  std::ranges::fill(result, std::numeric_limits<float>::quiet_NaN());
  const auto product = [&](const float* left, const float* right) {
    double total = 0;
    for (int64_t c = 0; c < touch_.w.cols; ++c) total += double{left[c]} * double{right[c]};
    return total;
  };
  int64_t journey = 0;
  int64_t last_upload = -1;
  for (size_t pair = 0; pair < inputs.proxy.pair_touch.size(); ++pair) {
    const int64_t upload = inputs.proxy.pair_upload[pair];
    if (upload == last_upload) continue;
    last_upload = upload;
    const auto end = [&] { return inputs.csr.begin[static_cast<size_t>(journey) + 1]; };
    while (end() <= inputs.proxy.pair_touch[pair]) ++journey;
    const float* const of_upload = activations.upload.row(upload);
    for (int64_t j = inputs.csr.begin[static_cast<size_t>(journey)]; j < end(); ++j) {
      const float* const touch = activations.touch.row(j);
      const double squares = product(touch, touch) * product(of_upload, of_upload);
      result[static_cast<size_t>(j)] =
          static_cast<float>(product(touch, of_upload) / std::sqrt(squares + double{kNormFloor}));
    }
  }
  return result;
}

void Matching::loss(const Pass& pass, const ProxyView& inputs, Matrix<const float> code,
                    const Activations& activations, float temperature, float scale, double* sum,
                    Matrix<float> d_code, Matrix<float> d_encoded) const {
  const int64_t pairs = inputs.pairs();
  const int64_t width = touch_.w.cols;
  const bool backward = d_code.data != nullptr;
  const auto wanted = [&](int64_t rows) {
    return backward ? in_room_of(pass, code.rows, rows, width) : Matrix<float>{};
  };
  const Matrix<float> of_pairs = in_room_of(pass, code.rows, pairs, width);
  const Matrix<float> d_of_pairs = wanted(pairs);
  const Matrix<float> d_touch = wanted(code.rows);
  pass.ops.gather_rows(pass.queue,
                       {.table = activations.upload, .rows = inputs.pair_upload, .out = of_pairs});
  pass.ops.infonce(pass.queue, {.rows = {inputs.pair_begin},
                                .columns = {inputs.touch_begin},
                                .x = of_pairs,
                                .y = activations.touch,
                                .positive = inputs.pair_touch,
                                .weight = inputs.pair_weight,
                                .log_frequency = inputs.log_frequency,
                                .row_ids = inputs.pair_ids,
                                .column_ids = inputs.touch_ids,
                                .temperature = temperature,
                                .scale = scale,
                                .normalise = true,
                                .d_x = d_of_pairs,
                                .d_y = d_touch,
                                .sum = sum});
  if (!backward) return;
  touch_.backward(pass, code, {}, d_touch, d_code, {.accumulate_dx = true});
  const Matrix<float> d_upload = wanted(inputs.uploads);
  const Matrix<float> d_matched = in_room_of(pass, code.rows, inputs.uploads, d_encoded.cols);
  const Matrix<float> d_encoded_pairs = in_room_of(pass, code.rows, pairs, d_encoded.cols);
  clear(pass, d_upload);
  pass.ops.scatter_rows(pass.queue,
                        {.d_out = d_of_pairs, .rows = inputs.pair_upload, .gradient = d_upload});
  upload_.backward(pass, activations.matched, {}, d_upload, d_matched, {});
  pass.ops.gather_rows(pass.queue,
                       {.table = d_matched, .rows = inputs.pair_upload, .out = d_encoded_pairs});
  pass.ops.scatter_rows(
      pass.queue, {.d_out = d_encoded_pairs, .rows = inputs.pair_touch, .gradient = d_encoded});
}

}  // namespace alm
