// Wide layers: products by the library with what it fuses, the rest by own kernels.
//
// It fuses: bias, ReLU and addend of results in fp32, and the addend of those in bf16, whose bias
// it would want in bf16 as well; accumulation onto gradients; the bias' gradient, where that is a
// sum of numbers as they are held. A mask by what a ReLU gave is not among it: the library asks for
// bits in an order of its own, which only its own forward pass writes. Where it does not fuse, it
// leaves sums in fp32, as many rows at a time as stay in the L2 cache, to own code
// (linear_parts.cuh).
//
// In bf16 the library takes factors in bf16 alone: what is held in fp32, as weights are, is copied
// rounded. FLOPs: 2 r a b forward, 4 r a b backward.
#include "kernels/cuda/wide_linear.h"

#include "kernels/cuda/linear_parts.cuh"
#include "kernels/cuda/sums.cuh"

namespace alm::cuda {
namespace {

constexpr int kThreads = 256;

// A thread two numbers of a row.
__global__ void __launch_bounds__(kThreads)
    round_kernel(Matrix<const float> from, Matrix<Bf16> to) {
  const int64_t pairs = (from.cols + 1) / 2;
  const int64_t at = thread_in_grid();
  const int64_t r = at / pairs;
  const int64_t c = at % pairs * 2;
  if (r >= from.rows) return;
  const int inside = from.cols - c < 2 ? 1 : 2;
  store_two(to.row(r) + c, inside, load_two(from.row(r) + c, inside));
}

// A factor as the library takes it; one that is not wanted is never copied.
class Factor {
 public:
  Factor(const CudaQueue& queue, MixedMatrix<const float> from, bool wanted = true)
      : from_(from),
        copied_(wanted && queue.precision() == Precision::bf16 &&
                from.precision == Precision::fp32) {}
  void add_to(Pieces& pieces) { pieces.add(&copy_, copied_ ? from_.rows * stride() : 0); }
  void round(Launches& launches) const {
    if (!copied_) return;
    const int64_t pairs = from_.rows * ((from_.cols + 1) / 2);
    launches.run<round_kernel>(blocks_for(pairs, kThreads), kThreads, from_.floats(),
                               Matrix<Bf16>{copy_, from_.rows, from_.cols, stride()});
  }
  bool copied() const { return copied_; }
  MixedMatrix<const float> rows(int64_t first, int64_t count) const {
    const bool bf16 = copied_ || from_.precision == Precision::bf16;
    const int64_t step = copied_ ? stride() : from_.stride;
    const int64_t bytes = first * step * (bf16 ? int64_t{sizeof(Bf16)} : int64_t{sizeof(float)});
    const void* const data = copied_ ? copy_ : from_.data;
    return {static_cast<const char*>(data) + bytes, count, from_.cols, step,
            bf16 ? Precision::bf16 : Precision::fp32};
  }
  MixedMatrix<const float> whole() const { return rows(0, from_.rows); }

 private:
  int64_t stride() const { return (from_.cols + 7) / 8 * 8; }  // rows begin at 16 bytes

  const MixedMatrix<const float> from_;
  const bool copied_;
  Bf16* copy_ = nullptr;
};

struct Panel {
  int64_t first;
  int64_t rows;
};
// Whether `use` said true of all panels, in order; after the first false it is not asked again.
template <class Use>
bool for_each_panel(int64_t rows, int64_t panel_rows, Use use) {
  for (int64_t first = 0; first < rows; first += panel_rows) {
    if (!use(Panel{first, rows - first < panel_rows ? rows - first : panel_rows})) return false;
  }
  return true;
}

// sums [panel rows, cols].
template <class Store>
__global__ void __launch_bounds__(kThreads)
    finish_kernel(const float* sums, Panel panel, int64_t cols, Store store) {
  const int64_t at = thread_in_grid();
  if (at < panel.rows * cols) store(panel.first + at / cols, at % cols, 0, sums[at]);
}
template <class Store>
void finish(Launches& launches, const float* sums, const Panel& panel, int64_t cols,
            const Store& store) {
  launches.run<finish_kernel<Store>>(blocks_for(panel.rows * cols, kThreads), kThreads, sums, panel,
                                     cols, store);
}

// What the library asks of a vector.
bool aligned(std::span<const float> vector) {
  constexpr uintptr_t kBytes = 16;
  return reinterpret_cast<uintptr_t>(vector.data()) % kBytes == 0;
}

}  // namespace

std::optional<cudaError_t> linear_forward_by_library(CudaQueue& queue, const LinearForward& a) {
  LibraryProducts* const library = queue.library_for(a.w.rows, a.w.cols);
  if (library == nullptr || a.y.rows == 0) return {};
  const int64_t cols = a.y.cols;
  const bool fused = a.before_relu.data == nullptr &&
                     (a.bias.empty() || (a.y.precision == Precision::fp32 && aligned(a.bias)));
  const int64_t panel_rows = fused ? a.y.rows : queue.choice().panel_rows(cols);
  Factor x(queue, a.x);
  Factor w(queue, a.w);
  float* sums = nullptr;
  char* workspace = nullptr;
  Pieces pieces;
  x.add_to(pieces);
  w.add_to(pieces);
  pieces.add(&sums, fused ? 0 : panel_rows * cols)
      .add(&workspace, library->workspace_bytes())
      .take(queue);
  const auto product = [&](const Panel& panel) -> LibraryProduct {
    const MixedMatrix<const float> left = x.rows(panel.first, panel.rows);
    if (!fused) return {.left = left, .right = w.whole(), .result = {sums, panel.rows, cols}};
    return {.left = left,
            .right = w.whole(),
            .result = a.y,
            .addend = a.addend,
            .bias = a.bias.data(),
            .relu = a.relu};
  };
  if (!for_each_panel(a.y.rows, panel_rows,
                      [&](const Panel& panel) { return library->has(product(panel)); })) {
    return {};
  }
  Launches launches(queue);
  x.round(launches);
  w.round(launches);
  for_each_panel(a.y.rows, panel_rows, [&](const Panel& panel) {
    library->run(queue.stream(), product(panel), workspace);
    if (fused) return true;
    for_numbers_of(a.y.precision, [&]<class Y>() {
      finish(launches, sums, panel, cols,
             StoreForward<Y>{a.bias.data(), a.addend.as<Y>(), a.y.as<Y>(), a.before_relu.as<Y>(),
                             a.relu});
    });
    return true;
  });
  return launches.error();
}

std::optional<cudaError_t> linear_backward_by_library(CudaQueue& queue, const LinearBackward& a) {
  const int64_t rows = a.d_y.rows;
  const int64_t width = a.d_y.cols;
  const bool weights = a.d_w.data != nullptr;
  const bool inputs = a.d_x.data != nullptr;
  const bool bias = !a.d_bias.empty();
  const int64_t in = weights ? a.d_w.rows : inputs ? a.d_x.cols : 0;
  LibraryProducts* const library = queue.library_for(in, width);
  if (library == nullptr || in == 0 || rows == 0) return {};
  const int64_t panel_rows = a.mask_dx ? queue.choice().panel_rows(in) : rows;
  Factor x(queue, a.x, weights);
  Factor d_y(queue, a.d_y);
  Factor w(queue, a.w, inputs);
  float* sums = nullptr;
  float* of_bias = nullptr;
  char* workspace = nullptr;
  Pieces pieces;
  x.add_to(pieces);
  d_y.add_to(pieces);
  w.add_to(pieces);
  pieces.add(&sums, a.mask_dx && inputs ? panel_rows * in : 0)
      .add(&of_bias, column_partials_size(rows, width))
      .add(&workspace, library->workspace_bytes())
      .take(queue);
  LibraryProduct of_weights{.left = x.whole(),
                            .right = d_y.whole(),
                            .left_transposed = true,
                            .result = a.d_w,
                            .addend = a.d_w,
                            .sums_of_right = of_bias};
  // Of numbers as they are held, and such as no mask has yet to pass.
  const bool with_product = bias && weights && !a.relu && !d_y.copied() && library->has(of_weights);
  if (!with_product) of_weights.sums_of_right = nullptr;
  const auto of_inputs = [&](const Panel& panel) -> LibraryProduct {
    const MixedMatrix<const float> left = d_y.rows(panel.first, panel.rows);
    if (a.mask_dx) {
      return {.left = left,
              .right = w.whole(),
              .right_transposed = true,
              .result = {sums, panel.rows, in}};
    }
    return {.left = left,
            .right = w.whole(),
            .right_transposed = true,
            .result = a.d_x,
            .addend = a.accumulate_dx ? a.d_x : MixedMatrix<float>(),
            .alpha = a.alpha};
  };
  if ((weights && !library->has(of_weights)) ||
      (inputs && !for_each_panel(rows, panel_rows, [&](const Panel& panel) {
         return library->has(of_inputs(panel));
       }))) {
    return {};
  }
  Launches launches(queue);
  if (a.relu || (bias && !with_product)) {
    for_numbers_of(a.d_y.precision, [&]<class Y>() {
      sum_columns(launches, MaskedRow<Y>{a.y.as<Y>(), a.d_y.as<Y>(), a.relu}, rows, width, of_bias);
    });
  }
  x.round(launches);
  d_y.round(launches);
  w.round(launches);
  if (weights) library->run(queue.stream(), of_weights, workspace);
  if (bias) {
    add_partial_rows(launches, of_bias, with_product ? 1 : blocks_for(rows, kChunkRows),
                     Matrix<float>(a.d_bias.data(), 1, width));
  }
  if (!inputs) return launches.error();
  for_each_panel(rows, panel_rows, [&](const Panel& panel) {
    library->run(queue.stream(), of_inputs(panel), workspace);
    if (!a.mask_dx) return true;
    for_numbers_of(a.x.precision, [&]<class X>() {
      finish(launches, sums, panel, in,
             StoreInputGradient<X>{a.x.as<X>(), a.d_x.as<X>(), a.alpha, a.accumulate_dx, true});
    });
    return true;
  });
  return launches.error();
}

}  // namespace alm::cuda
