#include "engine/train/op_profile.h"

#include <algorithm>
#include <atomic>
#include <type_traits>

#include "kernels/op_cases.h"

namespace alm {
namespace {

constexpr double kFloat = sizeof(float);
constexpr double kId = sizeof(int64_t);

struct Work {
  double flops = 0;
  double bytes = 0;
};

template <class T>
double count_of(const Matrix<T>& matrix) {
  return static_cast<double>(matrix.rows * matrix.cols);
}
template <class T>
double count_of(const MixedMatrix<T>& matrix) {
  return static_cast<double>(matrix.rows * matrix.cols);
}
template <class T>
double count_of(std::span<T> values) {
  return static_cast<double>(values.size());
}

// (query, key) pairs of a causal attention with a start token.
double pairs(const Csr& touches) {
  int64_t total = 0;
  for (int64_t row = 0; row < touches.rows(); ++row) {
    const int64_t length =
        touches.begin[static_cast<size_t>(row) + 1] - touches.begin[static_cast<size_t>(row)];
    total += length * (length + 3) / 2;
  }
  return static_cast<double>(total);
}

template <class Arguments>
Work work_of(const Arguments&) {
  return {};
}
Work work_of(const GatherRows& a) {
  return {0, 2 * kFloat * count_of(a.out) + kId * count_of(a.rows)};
}
Work work_of(const ScatterRows& a) {
  return {count_of(a.d_out), 3 * kFloat * count_of(a.d_out) + kId * count_of(a.rows)};
}
Work work_of(const LinearForward& a) {
  return {2 * count_of(a.y) * static_cast<double>(a.w.rows),
          kFloat * (count_of(a.x) + count_of(a.w) + count_of(a.addend) + count_of(a.y) +
                    count_of(a.before_relu))};
}
Work work_of(const LinearBackward& a) {
  const bool to_w = a.d_w.data != nullptr, to_x = a.d_x.data != nullptr;
  const double inputs = static_cast<double>(a.d_y.rows * a.w.rows);
  return {2 * (to_w + to_x) * count_of(a.d_y) * static_cast<double>(a.w.rows),
          kFloat * ((a.relu ? 3 : 1) * count_of(a.d_y) + to_w * (inputs + 2 * count_of(a.w)) +
                    to_x * ((a.accumulate_dx ? 2 : 1) * inputs + count_of(a.w)))};
}
Work work_of(const JoinContextForward& a) {
  return {2 * count_of(a.y), kFloat * (2 * count_of(a.y) + count_of(a.context))};
}
Work work_of(const JoinContextBackward& a) {
  return {count_of(a.y), kFloat * (3 * count_of(a.y) + count_of(a.d_context))};
}
Work work_of(const AttentionForward& a) {
  return {4 * static_cast<double>(a.start.cols) * pairs(a.touches),
          kFloat * (count_of(a.qkv) + count_of(a.out))};
}
Work work_of(const AttentionBackward& a) {
  return {10 * static_cast<double>(a.start.cols) * pairs(a.touches),
          kFloat * (2 * count_of(a.qkv) + 2 * count_of(a.out))};
}
Work work_of(const PoolForward& a) {
  return {4 * count_of(a.x), kFloat * (count_of(a.x) + count_of(a.out))};
}
Work work_of(const PoolBackward& a) {
  return {10 * count_of(a.x), kFloat * (3 * count_of(a.x) + 2 * count_of(a.out))};
}
Work work_of(const WeightedSumForward& a) {
  return {2 * count_of(a.x), kFloat * (count_of(a.x) + count_of(a.out))};
}
Work work_of(const WeightedSumBackward& a) {
  return {3 * count_of(a.x), kFloat * (2 * count_of(a.x) + count_of(a.d_out))};
}
Work work_of(const BilinearForward& a) {
  const double touched = count_of(a.cluster) * static_cast<double>(a.v.cols);
  return {2 * touched, kFloat * (touched + count_of(a.context))};
}
Work work_of(const BilinearBackward& a) {
  const double touched = count_of(a.cluster) * static_cast<double>(a.v.cols);
  return {4 * touched, kFloat * (3 * touched + 3 * count_of(a.context))};
}
Work work_of(const TouchHeadForward& a) {
  const double touches = static_cast<double>(a.x.rows);
  const double bilinear = touches * static_cast<double>(a.context.cols);
  const double hidden = static_cast<double>(a.hidden.cols);
  return {2 * ((count_of(a.x) + count_of(a.context) + touches) * hidden + bilinear),
          kFloat * (count_of(a.x) + 4 * count_of(a.hidden) + 2 * count_of(a.context) +
                    2 * count_of(a.of_context) + bilinear)};
}
Work work_of(const TouchHeadBackward& a) {
  const double touches = static_cast<double>(a.x.rows);
  const double bilinear = touches * static_cast<double>(a.context.cols);
  const double hidden = static_cast<double>(a.hidden.cols);
  return {4 * ((count_of(a.x) + count_of(a.context) + touches) * hidden + bilinear),
          kFloat * (3 * count_of(a.x) + 6 * count_of(a.hidden) + 6 * count_of(a.context) +
                    3 * count_of(a.room_journeys) + 3 * bilinear)};
}
Work work_of(const GradientScale& a) {
  return {count_of(a.squares), sizeof(double) * count_of(a.squares) + sizeof(LossSums)};
}
Work work_of(const AdamW& a) {
  return {14 * count_of(a.weights), 7 * kFloat * count_of(a.weights)};
}
Work work_of(const AdagradRows& a) {
  return {5 * count_of(a.gradient), 3 * kFloat * count_of(a.gradient)};
}
Work work_of(const MaxAbs& a) {
  return {0, kFloat * count_of(a.x)};
}
Work work_of(const Quantise& a) {
  return {count_of(a.x), (kFloat + 2 * kId) * count_of(a.x)};
}
Work work_of(const Dequantise& a) {
  return {count_of(a.x), (kFloat + kId) * count_of(a.x)};
}
Work work_of(const Accumulate& a) {
  return {count_of(a.x), 3 * kFloat * count_of(a.x)};
}
Work work_of(const SumSquares& a) {
  return {2 * count_of(a.x), kFloat * count_of(a.x)};
}

struct Counter {
  const char* name;
  bool product;
  std::atomic<int64_t> calls{0};
  std::atomic<double> seconds{0}, flops{0}, bytes{0};
};

const Ops* passed_on = nullptr;

template <auto kEntry>
Counter* counter() {
  static Counter one{};
  return &one;
}

template <auto kEntry, class Arguments>
void count(Queue& queue, const Arguments& a) {
  Counter& of = *counter<kEntry>();
  const double before = thread_cpu_seconds();
  (passed_on->*kEntry)(queue, a);
  of.seconds += thread_cpu_seconds() - before;
  const Work work = work_of(a);
  of.flops += work.flops;
  of.bytes += work.bytes;
  ++of.calls;
}

template <auto kEntry, class Arguments>
void put_between(Ops& ops, std::vector<Counter*>& all, const char* name,
                 void (*Ops::*)(Queue&, const Arguments&)) {
  ops.*kEntry = count<kEntry, Arguments>;
  counter<kEntry>()->name = name;
  counter<kEntry>()->product =
      std::is_same_v<Arguments, LinearForward> || std::is_same_v<Arguments, LinearBackward> ||
      std::is_same_v<Arguments, TouchHeadForward> || std::is_same_v<Arguments, TouchHeadBackward>;
  all.push_back(counter<kEntry>());
}

std::vector<Counter*> put_between_all(Ops& ops) {
  std::vector<Counter*> all;
  const auto add = [&]<auto kEntry>(const char* name) {
    put_between<kEntry>(ops, all, name, kEntry);
  };
  add.operator()<&Ops::dense_features>("dense_features");
  add.operator()<&Ops::gather_rows>("gather_rows");
  add.operator()<&Ops::scatter_rows>("scatter_rows");
  add.operator()<&Ops::linear_forward>("linear_forward");
  add.operator()<&Ops::linear_backward>("linear_backward");
  add.operator()<&Ops::join_context_forward>("join_context_forward");
  add.operator()<&Ops::join_context_backward>("join_context_backward");
  add.operator()<&Ops::attention_forward>("attention_forward");
  add.operator()<&Ops::attention_backward>("attention_backward");
  add.operator()<&Ops::pool_forward>("pool_forward");
  add.operator()<&Ops::pool_backward>("pool_backward");
  add.operator()<&Ops::weighted_sum_forward>("weighted_sum_forward");
  add.operator()<&Ops::weighted_sum_backward>("weighted_sum_backward");
  add.operator()<&Ops::bilinear_forward>("bilinear_forward");
  add.operator()<&Ops::bilinear_backward>("bilinear_backward");
  add.operator()<&Ops::touch_head_forward>("touch_head_forward");
  add.operator()<&Ops::touch_head_backward>("touch_head_backward");
  add.operator()<&Ops::separable_loss>("separable_loss");
  add.operator()<&Ops::gradient_scale>("gradient_scale");
  add.operator()<&Ops::adamw>("adamw");
  add.operator()<&Ops::adagrad_rows>("adagrad_rows");
  add.operator()<&Ops::max_abs>("max_abs");
  add.operator()<&Ops::quantise>("quantise");
  add.operator()<&Ops::dequantise>("dequantise");
  add.operator()<&Ops::accumulate>("accumulate");
  add.operator()<&Ops::sum_squares>("sum_squares");
  return all;
}

std::vector<Counter*>& counters() {
  static std::vector<Counter*> all;
  return all;
}

template <class Run>
double best_seconds(Run run) {
  run();
  double best = 1e9;
  for (int repeat = 0; repeat < 7; ++repeat) {
    const double before = thread_cpu_seconds();
    run();
    best = std::min(best, thread_cpu_seconds() - before);
  }
  return best;
}

}  // namespace

OpProfile::OpProfile(Device& device) : device_(device), ops_(device.ops()) {
  passed_on = &device.ops();
  counters() = put_between_all(ops_);
  reset();
}

void OpProfile::reset() {
  for (Counter* of : counters()) of->calls = 0, of->seconds = 0, of->flops = 0, of->bytes = 0;
}

std::vector<OpCost> OpProfile::costs() const {
  std::vector<OpCost> found;
  for (const Counter* of : counters()) {
    if (of->calls > 0) {
      found.push_back({of->name, of->calls, of->seconds, of->flops, of->bytes, of->product});
    }
  }
  return found;
}

ThreadLimits measure_limits(Device& device) {
  constexpr int64_t kSide = 1024;
  constexpr int64_t kElements = int64_t{8} << 20;
  const std::unique_ptr<Queue> queue = device.make_queue();
  std::vector<float> x(kElements, 0.5f), y(kElements, 0.25f);
  const auto square = [&](float* data) { return Matrix<float>(data, kSide, kSide); };
  const double product = best_seconds([&] {
    device.ops().linear_forward(*queue, {.x = square(x.data()),
                                         .w = square(x.data() + kSide * kSide),
                                         .bias = {},
                                         .y = square(y.data())});
  });
  const double stream = best_seconds([&] { device.ops().accumulate(*queue, {.x = x, .y = y}); });
  return {2.0 * kSide * kSide * kSide / product, 3 * kFloat * kElements / stream};
}

}  // namespace alm
