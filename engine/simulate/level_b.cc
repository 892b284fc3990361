// Rows of level B. The draws of a row come in a fixed order that no switch changes, so logs of one
// seed that differ in a switch share everything the switch does not touch.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "engine/simulate/simulator.h"
#include "engine/simulate/times.h"
#include "io/log_writer.h"
#include "kernels/base/check.h"
#include "kernels/base/hash.h"
#include "kernels/base/rng.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

constexpr int64_t kProxies = 3;
// V1, V2, V3: P(V=1 | m=1), P(V=1 | m=0) (contract 1). V3 is the leaky one.
constexpr std::array<double, kProxies> kSensitivity{0.85, 0.70, 0.90};
constexpr std::array<double, kProxies> kFalsePositive{0.10, 0.05, 0.05};
constexpr int64_t kLeaky = 2;
constexpr double kMatchGivenMediator = 0.7;
constexpr double kMatchOtherwise = 0.08;
constexpr double kRepeat = 0.5;
constexpr double kMissing = 0.02;
constexpr double kTail = 2.5;  // rank = floor(count * uniform^kTail): a Zipf-like head
// Distinct ids of the context columns after the grid; further columns repeat the list.
constexpr std::array<int64_t, 7> kContextIds{10, 50, 200, 1000, 5000, 20000, 100000};

int64_t zipf_rank(Rng& rng, int64_t count) {
  return static_cast<int64_t>(static_cast<double>(count) * std::pow(rng.uniform(), kTail));
}

class LevelB final : public Simulator {
 public:
  LevelB(const LevelBOptions& options, const LogShape& shape)
      : law_(options), shape_(shape), schema_(make_schema(options, shape)) {
    ALM_CHECK(shape.dense >= 2 && shape.max_touches >= 1 && shape.max_touches <= kMostTouches);
    double term = std::exp(-shape.extra_touches), reached = 0;
    for (int64_t extra = 0; extra + 1 < shape.max_touches; ++extra) {
      reached += term;
      length_up_to_.push_back(reached);
      term *= shape.extra_touches / static_cast<double>(extra + 1);
    }
  }

  const io::LogSchema& schema() const override { return schema_; }
  double keep_negatives() const override { return law_.options().keep_negatives; }

  void append(int64_t first, int64_t count, io::Journeys& out) const override {
    Scratch scratch;
    for (int64_t row = first; row < first + count; ++row) append_row(row, scratch, out);
  }

 private:
  struct Touch {
    Rng rng{0, Stream::touch, 0};
    uint32_t cluster = 0;
    bool mediator = false;
  };
  struct Scratch {
    Exposure exposure;
    LevelBTruth truth;
    std::array<Touch, kMostTouches> touches;
    std::array<int64_t, kMostTouches> gap;  // to the next touch, or to the window
    std::array<uint32_t, kMostTouches> clusters;
  };

  static io::LogSchema make_schema(const LevelBOptions& options, const LogShape& shape) {
    io::LogSchema schema;
    schema.clusters = options.clusters;
    schema.block_rows = io::kBlockRows;
    schema.dense = shape.dense;
    schema.cat = shape.cat;
    schema.touch_dense = shape.touch_dense;
    schema.item = shape.items > 0;
    schema.proxies = kProxies;
    schema.time = schema.outcome_time = schema.touch_time = true;
    schema.mediator = schema.mediator_time = schema.match = true;
    schema.weight = options.keep_negatives < 1;
    schema.truth = schema.removal_truth = true;
    for (int64_t i = 0; i < shape.dense; ++i) {
      schema.dense_names.push_back(format("x%lld", static_cast<long long>(i + 1)));
    }
    for (int64_t i = 0; i < shape.cat; ++i) {
      schema.cat_names.push_back(format("id%lld", static_cast<long long>(i + 1)));
    }
    for (int64_t i = 0; i < shape.touch_dense; ++i) {
      schema.touch_dense_names.push_back(format("d%lld", static_cast<long long>(i + 1)));
    }
    schema.proxy_names = {"V1", "V2", "V3"};
    schema.proxy_leaky = {0, 0, 1};
    return schema;
  }

  void append_row(int64_t row, Scratch& scratch, io::Journeys& out) const {
    const LevelBOptions& options = law_.options();
    Rng rng(options.seed, Stream::journey, static_cast<uint64_t>(row));
    const std::array<double, 2> x{rng.normal(), rng.normal()};
    const int64_t u = rng.bernoulli(LevelBLaw::p_u(x));
    const double length_position = rng.uniform();
    const double outcome_position = rng.uniform();
    const bool kept_if_negative = rng.bernoulli(options.keep_negatives);

    law_.expose(x, scratch.exposure);
    int64_t length = 1;
    for (const double reached : length_up_to_) length += length_position >= reached;
    if (scratch.exposure.empty()) length = 0;
    const double survival = law_.base_survival(x, u) * draw_touches(row, u, length, scratch);
    const bool y = outcome_position >= survival;
    if (!y && !kept_if_negative) return;

    out.row.push_back(row);
    out.user.push_back(user_of_row(row));
    out.outcome.push_back(y);
    if (schema_.weight)
      out.weight.push_back(static_cast<float>(y ? 1 : 1 / options.keep_negatives));
    const int64_t window = window_start(rng);
    out.time.push_back(window);
    const int64_t upload = window + upload_delay(rng);
    out.outcome_time.push_back(y ? upload : -1);
    append_context(x, rng, out);
    append_touches(y, window, length, scratch, out);
    append_truth(x, length, scratch, out);
    out.touch_begin.push_back(static_cast<int64_t>(out.cluster.size()));
  }

  // Clusters and true mediators; returns the product of the touches' factors on P(Y=0).
  double draw_touches(int64_t row, int64_t u, int64_t length, Scratch& scratch) const {
    double survival = 1;
    for (int64_t j = 0; j < length; ++j) {
      Touch& touch = scratch.touches[static_cast<size_t>(j)];
      touch.rng = Rng(law_.options().seed, Stream::touch,
                      static_cast<uint64_t>(row) * kMostTouches + static_cast<uint64_t>(j));
      const double position = touch.rng.uniform();
      const bool repeats = touch.rng.bernoulli(kRepeat);
      int64_t cluster = LevelBLaw::draw_cluster(scratch.exposure, u, position);
      if (law_.options().feedback && j > 0 && repeats) {
        const Touch& before = scratch.touches[static_cast<size_t>(j - 1)];
        if (before.mediator) cluster = before.cluster;
      }
      int64_t earlier = 0;
      for (int64_t l = 0; l < j; ++l) {
        earlier += scratch.touches[static_cast<size_t>(l)].cluster == cluster;
      }
      touch.cluster = static_cast<uint32_t>(cluster);
      const double match = scratch.exposure.match[static_cast<size_t>(cluster)];
      touch.mediator = touch.rng.bernoulli(law_.p_mediator(cluster, match, earlier, u));
      survival *= law_.touch_survival(cluster, touch.mediator);
    }
    return survival;
  }

  void append_context(const std::array<double, 2>& x, Rng& rng, io::Journeys& out) const {
    out.dense.push_back(static_cast<float>(x[0]));
    out.dense.push_back(static_cast<float>(x[1]));
    for (int64_t i = 2; i < shape_.dense; ++i) {
      const double value = 0.6 * x[static_cast<size_t>(i % 2)] + 0.8 * rng.normal();
      const bool missing = rng.bernoulli(kMissing);
      out.dense.push_back(missing ? std::numeric_limits<float>::quiet_NaN()
                                  : static_cast<float>(value));
    }
    for (int64_t i = 0; i < shape_.cat; ++i) {
      if (i == 0) {
        const auto cell = [](double value) {
          return static_cast<int64_t>(std::clamp(std::floor(2 * value) + 4, 0.0, 7.0));
        };
        out.cat.push_back(8 * cell(x[0]) + cell(x[1]));
      } else {
        out.cat.push_back(
            zipf_rank(rng, kContextIds[static_cast<size_t>(i - 1) % kContextIds.size()]));
      }
    }
  }

  // What the log shows of each touch: times, the observed mediator, its views, item and features.
  void append_touches(bool y, int64_t window, int64_t length, Scratch& scratch,
                      io::Journeys& out) const {
    const LevelBOptions& options = law_.options();
    int64_t time = window;
    for (int64_t j = 0; j < length; ++j) {
      int64_t& gap = scratch.gap[static_cast<size_t>(j)];
      gap = touch_gap(scratch.touches[static_cast<size_t>(j)].rng);
      time -= gap;
    }
    const int64_t items_of_cluster = std::max<int64_t>(1, shape_.items / options.clusters);
    for (int64_t j = 0; j < length; ++j) {
      Touch& touch = scratch.touches[static_cast<size_t>(j)];
      Rng& rng = touch.rng;
      const int64_t gap = scratch.gap[static_cast<size_t>(j)];
      const int64_t delay = mediator_delay(rng, gap);
      const bool leaks = rng.bernoulli(options.mediator_leak);
      const bool seen = touch.mediator || (y && leaks);
      out.cluster.push_back(touch.cluster);
      out.touch_time.push_back(time);
      out.mediator.push_back(seen);
      out.mediator_time.push_back(seen ? time + delay : -1);
      time += gap;

      for (int64_t v = 0; v < kProxies; ++v) {
        const size_t i = static_cast<size_t>(v);
        bool view = rng.bernoulli(touch.mediator ? kSensitivity[i] : kFalsePositive[i]);
        view ^= rng.bernoulli(options.proxy_noise);
        if (v == kLeaky) view |= rng.bernoulli(options.leak) && y;
        out.proxy.push_back(view);
      }
      bool match = rng.bernoulli(touch.mediator ? kMatchGivenMediator : kMatchOtherwise);
      match |= rng.bernoulli(options.leak);
      out.match.push_back(y ? static_cast<float>(match) : std::numeric_limits<float>::quiet_NaN());

      if (shape_.items > 0) {
        const int64_t rank = zipf_rank(rng, items_of_cluster);
        out.item.push_back(mix(static_cast<uint64_t>(touch.cluster * items_of_cluster + rank)));
      }
      for (int64_t i = 0; i < shape_.touch_dense; ++i) {
        const double noise = rng.normal();
        out.touch_dense.push_back(static_cast<float>(
            i == 0 ? scratch.exposure.match[touch.cluster] + 0.5 * noise : noise));
      }
    }
  }

  void append_truth(const std::array<double, 2>& x, int64_t length, Scratch& scratch,
                    io::Journeys& out) const {
    for (int64_t j = 0; j < length; ++j) {
      scratch.clusters[static_cast<size_t>(j)] = scratch.touches[static_cast<size_t>(j)].cluster;
    }
    law_.truth(x, scratch.exposure, {scratch.clusters.data(), static_cast<size_t>(length)},
               scratch.truth);
    for (int64_t j = 0; j < length; ++j) {
      out.delta_do.push_back(static_cast<float>(scratch.truth.delta_do[static_cast<size_t>(j)]));
      out.delta_ett.push_back(static_cast<float>(scratch.truth.delta_ett[static_cast<size_t>(j)]));
      out.delta_removal.push_back(
          static_cast<float>(scratch.truth.delta_removal[static_cast<size_t>(j)]));
    }
    out.p_do.push_back(static_cast<float>(scratch.truth.p_do));
    out.p_none.push_back(static_cast<float>(scratch.truth.p_none));
  }

  LevelBLaw law_;
  LogShape shape_;
  io::LogSchema schema_;
  std::vector<double> length_up_to_;  // P(length <= 1 + i), without the last, which is 1
};

}  // namespace

std::unique_ptr<Simulator> make_level_b(const LevelBOptions& options, const LogShape& shape) {
  return std::make_unique<LevelB>(options, shape);
}

}  // namespace alm
