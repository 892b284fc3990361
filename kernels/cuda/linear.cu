// Fully connected layers: products in tiles with bias, ReLU and accumulation on the way out. The
// gradient of the weights is cut along the rows, 256 at a time, so that tall narrow layers fill the
// device; the cuts depend on the shape alone. The queue's precision chooses between products in
// fp32 and on the tensor cores.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/product.cuh"
#include "kernels/cuda/sums.cuh"
#include "kernels/cuda/tensor_product.cuh"

namespace alm::cuda {
namespace {

constexpr int64_t kWeightRows = 256;
constexpr int kThreads = 64;

struct StoreForward {
  static constexpr bool kOfColumns = false;
  LinearForward a;
  __device__ void operator()(int64_t r, int64_t c, int64_t, float sum) const {
    float z = a.addend.data != nullptr ? a.addend.row(r)[c] + sum : sum;
    if (a.bias.data() != nullptr) z += a.bias.data()[c];
    if (a.before_relu.data != nullptr) a.before_relu.row(r)[c] = z;
    a.y.row(r)[c] = a.relu && z < 0.0f ? 0.0f : z;  // a NaN stays
  }
};

struct StoreInputGradient {
  static constexpr bool kOfColumns = false;
  Matrix<const float> x;
  Matrix<float> d_x;
  float alpha;
  bool accumulate;
  bool mask;
  __device__ void operator()(int64_t r, int64_t c, int64_t, float sum) const {
    float& d = d_x.row(r)[c];
    const float share = mask && !(x.row(r)[c] > 0.0f) ? 0.0f : alpha * sum;
    d = accumulate ? d + share : share;
  }
};

struct StorePartial {
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

// d_y, masked in place on the way.
struct MaskedRow {
  Matrix<const float> y;
  Matrix<float> d_y;
  bool relu;
  __device__ float operator()(int64_t r, int64_t c) const {
    float d = d_y.row(r)[c];
    if (relu) {
      d = y.row(r)[c] > 0.0f ? d : 0.0f;
      d_y.row(r)[c] = d;
    }
    return d;
  }
};

template <Layout kLeft, Layout kRight, class Store>
void multiply(const CudaQueue& queue, Launches& launches, Matrix<const float> left,
              Matrix<const float> right, int64_t rows, int64_t cols, int64_t depth, int64_t chunks,
              int64_t chunk_depth, const Store& store) {
  if (queue.precision() == Precision::bf16) {
    tensor::product<kLeft, kRight>(launches, left, right, rows, cols, depth, chunks, chunk_depth,
                                   store);
  } else {
    product(launches, factor<kLeft>(left), factor<kRight>(right), rows, cols, depth, chunks,
            chunk_depth, store);
  }
}

// A block a journey, threads by columns.
__global__ void __launch_bounds__(kThreads) join_context_forward_kernel(JoinContextForward a) {
  const int64_t i = blockIdx.x;
  for (int64_t c = threadIdx.x; c < a.context.cols; c += kThreads) {
    const float context = a.context.row(i)[c];
    for (int64_t j = a.touches.begin.data()[i]; j < a.touches.begin.data()[i + 1]; ++j) {
      const float z = a.y.row(j)[c] + context;
      a.y.row(j)[c] = z < 0.0f ? 0.0f : z;
    }
  }
}

__global__ void __launch_bounds__(kThreads) join_context_backward_kernel(JoinContextBackward a) {
  const int64_t i = blockIdx.x;
  for (int64_t c = threadIdx.x; c < a.d_context.cols; c += kThreads) {
    float sum = 0;
    for (int64_t j = a.touches.begin.data()[i]; j < a.touches.begin.data()[i + 1]; ++j) {
      const float d = a.d_y.row(j)[c];
      const float kept = a.y.row(j)[c] > 0.0f ? d : 0.0f;
      a.d_y.row(j)[c] = kept;
      sum += kept;
    }
    a.d_context.row(i)[c] = sum;
  }
}

}  // namespace

cudaError_t launch_linear_forward(CudaQueue& queue, const LinearForward& a) {
  Launches launches(queue);
  multiply<Layout::plain, Layout::transposed>(queue, launches, a.x, a.w, a.y.rows, a.y.cols,
                                              a.x.cols, 1, a.x.cols, StoreForward{a});
  return launches.error();
}

cudaError_t launch_linear_backward(CudaQueue& queue, const LinearBackward& a) {
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
  if (a.relu || (bias && !with_product)) {
    sum_columns(launches, MaskedRow{a.y, a.d_y, a.relu}, rows, width, of_bias);
  }
  if (weights) {
    multiply<Layout::transposed, Layout::transposed>(
        queue, launches, a.x, a.d_y, a.d_w.rows, width, rows, weight_chunks, kWeightRows,
        StorePartial{with_product ? of_bias : nullptr, of_weights, a.d_w.rows, width});
    add_partial_rows(launches, of_weights, weight_chunks, a.d_w);
  }
  if (bias) {
    add_partial_rows(launches, of_bias, bias_chunks, Matrix<float>(a.d_bias.data(), 1, width));
  }
  if (a.d_x.data != nullptr) {
    multiply<Layout::plain, Layout::plain>(
        queue, launches, a.d_y, a.w, rows, a.d_x.cols, width, 1, width,
        StoreInputGradient{a.x, a.d_x, a.alpha, a.accumulate_dx, a.mask_dx});
  }
  return launches.error();
}

cudaError_t launch_join_context_forward(CudaQueue& queue, const JoinContextForward& a) {
  return Launches(queue).run<join_context_forward_kernel>(a.touches.rows(), kThreads, a).error();
}

cudaError_t launch_join_context_backward(CudaQueue& queue, const JoinContextBackward& a) {
  return Launches(queue).run<join_context_backward_kernel>(a.touches.rows(), kThreads, a).error();
}

}  // namespace alm::cuda
