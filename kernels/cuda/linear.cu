// Fully connected layers: those that product_choice.h gives the library are in wide_linear.cu, of
// the others products in tiles with bias, ReLU and accumulation on the way out. The gradient of the
// weights is cut along the rows, 256 at a time, so that tall narrow layers fill the device; the
// cuts depend on the shape alone. The queue's precision chooses between products in fp32 and on the
// tensor cores.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/linear_parts.cuh"
#include "kernels/cuda/product.cuh"
#include "kernels/cuda/sums.cuh"
#include "kernels/cuda/tensor_product.cuh"
#include "kernels/cuda/wide_linear.h"

namespace alm::cuda {
namespace {

constexpr int64_t kWeightRows = 256;
constexpr int kThreads = 64;

struct StorePartial {
  using Held = float;
  static constexpr bool kOfColumns = true;
  float* of_columns;  // [chunks, cols], or null
  float* partials;    // [chunks, rows, cols]
  int64_t rows;
  int64_t cols;
  __device__ void operator()(int64_t r, int64_t c, int64_t chunk, float sum) const {
    partials[(chunk * rows + r) * cols + c] = sum;
  }
  __device__ void of_column(int64_t c, int64_t chunk, float sum) const {
    if (of_columns != nullptr) of_columns[chunk * cols + c] = sum;
  }
};

struct Shape {
  int64_t rows;
  int64_t cols;
  int64_t depth;
  int64_t chunks = 1;
  int64_t chunk_depth = 0;  // with chunks
};

template <Layout kLeft, Layout kRight, class Left, class Right, class Store>
void multiply(const CudaQueue& queue, Launches& launches, Matrix<const Left> left,
              Matrix<const Right> right, const Shape& of, const Store& store) {
  const int64_t chunk_depth = of.chunks == 1 ? of.depth : of.chunk_depth;
  constexpr bool kInFp32 = std::is_same_v<Left, float> && std::is_same_v<Right, float> &&
                           std::is_same_v<typename Store::Held, float>;
  if constexpr (kInFp32) {
    if (queue.precision() == Precision::fp32) {
      return product(launches, factor<kLeft>(left), factor<kRight>(right), of.rows, of.cols,
                     of.depth, of.chunks, chunk_depth, store);
    }
  }
  tensor::product<kLeft, kRight>(launches, left, right, of.rows, of.cols, of.depth, of.chunks,
                                 chunk_depth, store);
}

// A block a journey, threads by columns.
template <class Number>
__global__ void __launch_bounds__(kThreads) join_context_forward_kernel(JoinContextForward a) {
  const int64_t i = blockIdx.x;
  for (int64_t c = threadIdx.x; c < a.context.cols; c += kThreads) {
    const float context = a.context.row(i)[c];
    for (int64_t j = a.touches.begin.data()[i]; j < a.touches.begin.data()[i + 1]; ++j) {
      Number& y = a.y.row<Number>(j)[c];
      const float z = to_float(y) + context;
      put(y, z < 0.0f ? 0.0f : z);
    }
  }
}

template <class Number>
__global__ void __launch_bounds__(kThreads) join_context_backward_kernel(JoinContextBackward a) {
  const int64_t i = blockIdx.x;
  for (int64_t c = threadIdx.x; c < a.d_context.cols; c += kThreads) {
    float sum = 0;
    for (int64_t j = a.touches.begin.data()[i]; j < a.touches.begin.data()[i + 1]; ++j) {
      Number& d_y = a.d_y.row<Number>(j)[c];
      const float d = to_float(d_y);
      const float kept = to_float(a.y.row<Number>(j)[c]) > 0.0f ? d : 0.0f;
      put(d_y, kept);
      sum += kept;
    }
    a.d_context.row(i)[c] = sum;
  }
}

// Calls use.template operator()<numbers of x, numbers of y>().
template <class Use>
void for_numbers_of_both(Precision x, Precision y, Use use) {
  for_numbers_of(x, [&]<class X>() {
    for_numbers_of(y, [&]<class Y>() { use.template operator()<X, Y>(); });
  });
}

}  // namespace

cudaError_t launch_linear_forward(CudaQueue& queue, const LinearForward& a) {
  if (const auto done = linear_forward_by_library(queue, a)) return *done;
  Launches launches(queue);
  for_numbers_of_both(a.x.precision, a.y.precision, [&]<class X, class Y>() {
    multiply<Layout::plain, Layout::transposed>(
        queue, launches, a.x.as<X>(), a.w, {a.y.rows, a.y.cols, a.x.cols},
        StoreForward<Y>{a.bias.data(), a.addend.as<Y>(), a.y.as<Y>(), a.before_relu.as<Y>(),
                        a.relu});
  });
  return launches.error();
}

cudaError_t launch_linear_backward(CudaQueue& queue, const LinearBackward& a) {
  if (const auto done = linear_backward_by_library(queue, a)) return *done;
  const int64_t rows = a.d_y.rows;
  const int64_t width = a.d_y.cols;
  const bool weights = a.d_w.data != nullptr;
  const bool bias = !a.d_bias.empty();
  // The product for the weights reads d_y anyway; on the tensor cores it sums the columns, too.
  const bool with_product =
      bias && weights && a.d_w.rows > 0 && !a.relu && queue.precision() == Precision::bf16;
  const int64_t weight_chunks = blocks_for(rows, kWeightRows);
  const int64_t bias_chunks = with_product ? weight_chunks : blocks_for(rows, kChunkRows);
  float* of_weights = nullptr;
  float* of_bias = nullptr;
  Pieces()
      .add(&of_weights, weights ? weight_chunks * a.d_w.rows * a.d_w.cols : 0)
      .add(&of_bias, column_partials_size(rows, width))
      .take(queue);
  Launches launches(queue);
  for_numbers_of_both(a.x.precision, a.d_y.precision, [&]<class X, class Y>() {
    if (a.relu || (bias && !with_product)) {
      sum_columns(launches, MaskedRow<Y>{a.y.as<Y>(), a.d_y.as<Y>(), a.relu}, rows, width, of_bias);
    }
    const Matrix<const Y> d_y = a.d_y.as<Y>();
    if (weights) {
      multiply<Layout::transposed, Layout::transposed>(
          queue, launches, a.x.as<X>(), d_y, {a.d_w.rows, width, rows, weight_chunks, kWeightRows},
          StorePartial{with_product ? of_bias : nullptr, of_weights, a.d_w.rows, width});
      add_partial_rows(launches, of_weights, weight_chunks, a.d_w);
    }
    if (bias) {
      add_partial_rows(launches, of_bias, bias_chunks, Matrix<float>(a.d_bias.data(), 1, width));
    }
    if (a.d_x.data != nullptr) {
      multiply<Layout::plain, Layout::plain>(
          queue, launches, d_y, a.w, {rows, a.d_x.cols, width},
          StoreInputGradient<X>{a.x.as<X>(), a.d_x.as<X>(), a.alpha, a.accumulate_dx, a.mask_dx});
    }
  });
  return launches.error();
}

cudaError_t launch_join_context_forward(CudaQueue& queue, const JoinContextForward& a) {
  Launches launches(queue);
  for_numbers_of(a.y.precision, [&]<class Number>() {
    launches.run<join_context_forward_kernel<Number>>(a.touches.rows(), kThreads, a);
  });
  return launches.error();
}

cudaError_t launch_join_context_backward(CudaQueue& queue, const JoinContextBackward& a) {
  Launches launches(queue);
  for_numbers_of(a.y.precision, [&]<class Number>() {
    launches.run<join_context_backward_kernel<Number>>(a.touches.rows(), kThreads, a);
  });
  return launches.error();
}

}  // namespace alm::cuda
