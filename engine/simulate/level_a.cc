#include "engine/simulate/level_a.h"

#include <array>
#include <cmath>

#include "engine/simulate/simulator.h"
#include "engine/simulate/times.h"
#include "io/log_writer.h"
#include "kernels/base/check.h"
#include "kernels/base/rng.h"

namespace alm {
namespace level_a {
namespace {

constexpr std::array<double, kArms> kArmIntercept{0, 0.2, -0.3, -0.6};
constexpr std::array<double, kArms> kArmOnX{0, 0.5, -0.4, 0.3};
constexpr std::array<double, kArms> kArmOnU{0, -1.2, 0.8, 2.0};
constexpr std::array<double, kArms> kMediatorIntercept{-1.5, 0.8, -0.6, -1.4};

double sigmoid(double z) {
  return 1 / (1 + std::exp(-z));
}
double either(double p_one, int64_t value) {
  return value == 1 ? p_one : 1 - p_one;
}
void check_bit(int64_t value) {
  ALM_CHECK(value == 0 || value == 1);
}
void check_arm(int64_t t) {
  ALM_CHECK(t >= 0 && t < kArms);
}

}  // namespace

double p_x(int64_t x) {
  check_bit(x);
  return either(0.4, x);
}

double p_u(int64_t u, int64_t x) {
  check_bit(u), check_bit(x);
  return either(x == 1 ? 0.6 : 0.3, u);
}

double p_arm(int64_t t, int64_t x, int64_t u) {
  check_arm(t), check_bit(x), check_bit(u);
  double total = 0, mine = 0;
  for (int64_t arm = 0; arm < kArms; ++arm) {
    const size_t i = static_cast<size_t>(arm);
    const double weight = std::exp(kArmIntercept[i] + kArmOnX[i] * static_cast<double>(x) +
                                   kArmOnU[i] * static_cast<double>(u));
    total += weight;
    if (arm == t) mine = weight;
  }
  return mine / total;
}

double p_mediator(int64_t m, int64_t t, int64_t x) {
  check_bit(m), check_arm(t), check_bit(x);
  return either(sigmoid(kMediatorIntercept[static_cast<size_t>(t)] + 0.4 * static_cast<double>(x)),
                m);
}

double p_outcome(int64_t m, int64_t u, int64_t x) {
  check_bit(m), check_bit(u), check_bit(x);
  const double dm = static_cast<double>(m), du = static_cast<double>(u);
  return 0.03 + 0.10 * dm + 0.25 * du + 0.02 * static_cast<double>(x) + 0.08 * dm * du;
}

double propensity(int64_t t, int64_t x) {
  return p_u(0, x) * p_arm(t, x, 0) + p_u(1, x) * p_arm(t, x, 1);
}

double mu(int64_t m, int64_t t, int64_t x) {
  const double joint0 = p_u(0, x) * p_arm(t, x, 0), joint1 = p_u(1, x) * p_arm(t, x, 1);
  return (joint0 * p_outcome(m, 0, x) + joint1 * p_outcome(m, 1, x)) / (joint0 + joint1);
}

double xi(int64_t m, int64_t x) {
  double sum = 0;
  for (int64_t t = 0; t < kArms; ++t) sum += propensity(t, x) * mu(m, t, x);
  return sum;
}

double outcome_do(int64_t t, int64_t x) {
  return p_mediator(0, t, x) * xi(0, x) + p_mediator(1, t, x) * xi(1, x);
}

double psi(int64_t t) {
  return p_x(0) * outcome_do(t, 0) + p_x(1) * outcome_do(t, 1);
}

double outcome_replaced(int64_t t, int64_t x) {
  return p_mediator(0, kReferenceArm, x) * mu(0, t, x) +
         p_mediator(1, kReferenceArm, x) * mu(1, t, x);
}

double delta_do(int64_t t, int64_t x) {
  return outcome_do(t, x) - outcome_do(kReferenceArm, x);
}

double delta_ett(int64_t t, int64_t x) {
  const double seen = p_mediator(0, t, x) * mu(0, t, x) + p_mediator(1, t, x) * mu(1, t, x);
  return seen - outcome_replaced(t, x);
}

double psi_removal(int64_t t) {
  double removed = 0;
  for (int64_t x = 0; x < 2; ++x) removed += p_x(x) * propensity(t, x) * delta_ett(t, x);
  return mean_outcome() - removed;
}

double mean_outcome() {
  double sum = 0;
  for (int64_t x = 0; x < 2; ++x)
    for (int64_t t = 0; t < kArms; ++t)
      for (int64_t m = 0; m < 2; ++m)
        sum += p_x(x) * propensity(t, x) * p_mediator(m, t, x) * mu(m, t, x);
  return sum;
}

double p_arm_marginal(int64_t t) {
  return p_x(0) * propensity(t, 0) + p_x(1) * propensity(t, 1);
}

}  // namespace level_a

namespace {

class LevelA final : public Simulator {
 public:
  explicit LevelA(uint64_t seed) : seed_(seed) {
    schema_.clusters = level_a::kArms;
    schema_.block_rows = io::kBlockRows;
    schema_.reference_cluster = level_a::kReferenceArm;
    schema_.cat = 1;
    schema_.cat_names = {"x"};
    schema_.cluster_names = {"reference", "spark", "middle", "bait"};
    schema_.time = schema_.outcome_time = schema_.touch_time = true;
    schema_.mediator = schema_.mediator_time = true;
    schema_.truth = true;
    for (int64_t x = 0; x < 2; ++x) {
      for (int64_t u = 0; u < 2; ++u) {
        double reached = 0;
        for (int64_t t = 0; t < level_a::kArms; ++t) {
          reached += level_a::p_arm(t, x, u);
          arm_up_to_[x][u][t] = reached;
        }
      }
      for (int64_t t = 0; t < level_a::kArms; ++t) {
        delta_do_[x][t] = static_cast<float>(level_a::delta_do(t, x));
        delta_ett_[x][t] = static_cast<float>(level_a::delta_ett(t, x));
        p_do_[x][t] = static_cast<float>(level_a::outcome_do(t, x));
      }
    }
  }

  const io::LogSchema& schema() const override { return schema_; }

  void append(int64_t first, int64_t count, io::Journeys& out) const override {
    for (int64_t row = first; row < first + count; ++row) append_row(row, out);
  }

 private:
  void append_row(int64_t row, io::Journeys& out) const {
    Rng rng(seed_, Stream::journey, static_cast<uint64_t>(row));
    const int64_t x = rng.bernoulli(level_a::p_x(1));
    const int64_t u = rng.bernoulli(level_a::p_u(1, x));
    const double position = rng.uniform();
    int64_t t = 0;
    while (t + 1 < level_a::kArms && position >= arm_up_to_[x][u][t]) ++t;
    const bool m = rng.bernoulli(level_a::p_mediator(1, t, x));
    const bool y = rng.bernoulli(level_a::p_outcome(m, u, x));
    const int64_t window = window_start(rng);
    const int64_t gap = touch_gap(rng);
    const int64_t delay = mediator_delay(rng, gap);

    out.row.push_back(row);
    out.user.push_back(user_of_row(row));
    out.time.push_back(window);
    out.outcome.push_back(y);
    out.outcome_time.push_back(y ? window + upload_delay(rng) : -1);
    out.cat.push_back(x);
    out.cluster.push_back(static_cast<uint32_t>(t));
    out.touch_time.push_back(window - gap);
    out.mediator.push_back(m);
    out.mediator_time.push_back(m ? window - gap + delay : -1);
    out.delta_do.push_back(delta_do_[x][t]);
    out.delta_ett.push_back(delta_ett_[x][t]);
    out.p_do.push_back(p_do_[x][t]);
    out.p_none.push_back(p_do_[x][level_a::kReferenceArm]);
    out.touch_begin.push_back(static_cast<int64_t>(out.cluster.size()));
  }

  uint64_t seed_;
  io::LogSchema schema_;
  double arm_up_to_[2][2][level_a::kArms];
  float delta_do_[2][level_a::kArms];
  float delta_ett_[2][level_a::kArms];
  float p_do_[2][level_a::kArms];
};

}  // namespace

std::unique_ptr<Simulator> make_level_a(uint64_t seed) {
  return std::make_unique<LevelA>(seed);
}

}  // namespace alm
