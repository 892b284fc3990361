// The gradient of each whole model against central differences of its loss, tensor by tensor: along
// the gradient itself (a wrong factor shows) and along a random direction (a wrong part shows).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "engine/model/compute.h"
#include "engine/model/model.h"
#include "kernels/base/rng.h"

namespace alm {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Shape {
  const char* name;
  bool arm = false;
  bool continuous = false;
  bool item = false;
  int64_t cat = 0;
  int64_t dense = 3;  // the second column misses values
  int64_t touch_dense = 0;
  bool missing_mediators = false;
  bool general = false;
  bool proxy = false;
  ProxyInput proxy_input = ProxyInput::none;
};

ColumnScales some_scales(int64_t columns) {
  ColumnScales scales;
  for (int64_t column = 0; column < columns; ++column) {
    scales.mean.push_back(0.2f * static_cast<float>(column));
    scales.inverse_sd.push_back(0.8f);
    scales.missing_slot.push_back(column == 1 ? scales.slots++ : -1);
  }
  return scales;
}

ModelOptions small_sizes() {
  ModelOptions options;
  options.cat_width = 3;
  options.cat_rows = 64;
  options.item_width = 5;
  options.item_rows = 64;
  options.cluster_width = 4;
  options.position_width = 3;
  options.context_hidden = 7;
  options.context_width = 6;
  options.touch_hidden = 9;
  options.touch_width = 8;
  options.heads = 2;
  options.head_hidden = 5;
  options.confounding_hidden = 7;
  options.w_mediator = 0.3;
  options.w_outcome = 0.9;
  options.w_second = 0;
  return options;
}

ModelOptions sizes_of(const Shape& shape) {
  ModelOptions options = small_sizes();
  if (shape.general) options.outcome_head = OutcomeHead::general;
  if (!shape.proxy) return options;
  options.mediator = MediatorMode::proxy;
  options.proxy_input = shape.proxy_input;
  options.code_width = 6;
  options.discriminator_hidden = 7;
  options.match_width = 5;
  options.w_proxy = 0.6;
  options.w_contrastive = 0.4;
  options.temperature = 0.5;
  options.w_mediator = 0;  // the law: its target is held constant
  return options;
}

struct Case {
  explicit Case(const Shape& shape) : Case(shape, sizes_of(shape)) {}
  Case(const Shape& shape, const ModelOptions& options, uint64_t seed = 11)
      : compute(make_cpu_device("auto"), 1) {
    FeatureStats stats;
    io::LogSchema& schema = stats.schema;
    schema.clusters = 4;
    if (shape.arm) schema.reference_cluster = 0;
    schema.outcome = shape.continuous ? io::OutcomeKind::continuous : io::OutcomeKind::binary;
    schema.dense = shape.dense;
    schema.cat = shape.cat;
    schema.touch_dense = shape.touch_dense;
    schema.item = shape.item;
    schema.time = schema.touch_time = schema.mediator = schema.weight = true;
    stats.dense = some_scales(shape.dense);
    stats.touch_dense = some_scales(shape.touch_dense);
    stats.outcome_mean = shape.continuous ? 10 : 0;
    stats.outcome_sd = shape.continuous ? 4 : 1;
    stats.longest = 5;
    schema.match = shape.proxy;
    schema.proxies = shape.proxy ? 3 : 0;
    schema.proxy_leaky = {0, 1, 0};
    stats.cluster_log_share = {-1.5f, -0.7f, -2.0f, -1.4f};
    if (shape.item) {
      for (int64_t row = 0; row < options.item_rows; ++row) {
        stats.item_admitted.push_back(row % 3 != 0);
      }
    }
    model = make_model(std::make_shared<FeatureStats>(stats), options, 3);
    fill_journeys(shape);
    weights = model->fresh_weights(5);
    Rng draw(seed, Stream::weights, 1);
    for (const ParameterLayout::Entry& entry : model->layout().entries()) {
      for (float& value : entry.tensor.vector(weights.dense.data())) {
        value = static_cast<float>(0.4 * draw.normal());
      }
    }
    for (RowTable* table : {&weights.cats, &weights.items}) {
      for (float& value : table->weights) value = static_cast<float>(0.4 * draw.normal());
    }
  }

  void fill_journeys(const Shape& shape) {
    Rng draw(3, Stream::weights, 2);
    const auto column = [&](int64_t at) {
      return at == 1 && draw.uniform() < 0.3 ? kNan : static_cast<float>(draw.normal());
    };
    for (int64_t row = 0; row < 23; ++row) {
      const int64_t touches = shape.arm ? 1 : row % 6 == 0 ? 0 : 1 + row % 5;
      journeys.user.push_back(static_cast<uint64_t>(row));
      journeys.row.push_back(row);
      journeys.time.push_back(1'000'000'000 + row);
      journeys.weight.push_back(row % 4 == 0 ? 2.5f : 1.0f);
      journeys.outcome.push_back(shape.continuous ? static_cast<float>(10 + 4 * draw.normal())
                                                  : static_cast<float>(draw.uniform() < 0.4));
      for (int64_t at = 0; at < shape.dense; ++at) journeys.dense.push_back(column(at));
      for (int64_t at = 0; at < shape.cat; ++at) {
        journeys.cat.push_back(static_cast<int64_t>(draw.below(9)));
      }
      for (int64_t touch = 0; touch < touches; ++touch) {
        journeys.cluster.push_back(static_cast<uint32_t>(draw.below(4)));
        journeys.touch_time.push_back(900'000'000 + 1000 * touch);
        const bool missing = shape.missing_mediators && draw.uniform() < 0.3;
        journeys.mediator.push_back(missing ? kMediatorMissing
                                            : static_cast<uint8_t>(draw.uniform() < 0.4));
        if (shape.item) journeys.item.push_back(draw.below(20));
        if (shape.proxy) {
          const float match = touch % 2 == row % 2 ? 0.8f : static_cast<float>(draw.uniform());
          journeys.match.push_back(journeys.outcome.back() > 0 ? match : kNan);
          for (int64_t at = 0; at < 3; ++at) {
            const uint64_t seen = draw.below(3);
            journeys.proxy.push_back(seen == 2 ? kMediatorMissing : static_cast<uint8_t>(seen));
          }
        }
        for (int64_t at = 0; at < shape.touch_dense; ++at) {
          journeys.touch_dense.push_back(column(at));
        }
      }
      journeys.touch_begin.push_back(static_cast<int64_t>(journeys.cluster.size()));
    }
  }

  LossSums sums(bool refit, float* gradient, RowGradients* rows) {
    Inputs& inputs = compute.thread(0).inputs;
    inputs.fill(journeys, model->stats(), model->options(), model->positions());
    Pass pass = compute.pass(0, weights.dense.data(), gradient);
    pass.reversal = reversal;
    pass.objective = objective;
    pass.complete = complete;
    LossSums result;
    if (refit) {
      inputs.fill_removal(model->stats(), kAbsentInTraining - 1, 7, true);
      model->refit_loss(pass, inputs, weights, result);
    } else {
      model->loss(pass, inputs, weights, result, rows);
    }
    return result;
  }
  // What the gradient is of.
  double loss(bool refit) {
    const LossSums of = sums(refit, nullptr, nullptr);
    if (refit) return of.second_stage + of.propensity;
    const ModelOptions& options = model->options();
    return options.w_mediator * of.mediator + options.w_outcome * of.outcome +
           options.w_second * of.second_stage + of.propensity + options.w_mediator * of.law +
           options.w_proxy * of.proxy + options.w_contrastive * of.contrastive +
           adversary * of.adversary;
  }
  std::vector<float> gradient() {
    std::vector<float> result(static_cast<size_t>(model->layout().size()));
    RowGradients rows;
    sums(false, result.data(), &rows);
    return result;
  }

  float reversal = 0;
  Objective objective = Objective::all;
  const std::function<void(int64_t)>* complete = nullptr;
  double adversary = 0;  // factor of the adversary's loss in what a tensor descends
  Compute compute;
  std::unique_ptr<Model> model;
  ModelWeights weights;
  io::Journeys journeys;
};

// Slope of the loss along `direction` from the present values. ReLUs bend the loss: the step
// shrinks until the slopes of its two sides agree to `tolerance`, so that none turns within it.
double slope(Case& of, bool refit, std::span<float> values, const std::vector<double>& direction,
             double tolerance) {
  const std::vector<float> start(values.begin(), values.end());
  const double middle = of.loss(refit);
  double result = 0;
  for (const double step : {4e-3, 1e-3, 5e-4, 2.5e-4, 1e-4}) {
    double side[2];
    for (const int sign : {1, -1}) {
      for (size_t at = 0; at < values.size(); ++at) {
        values[at] = static_cast<float>(start[at] + sign * step * direction[at]);
      }
      side[sign < 0] = of.loss(refit);
    }
    std::copy(start.begin(), start.end(), values.begin());
    result = (side[0] - side[1]) / (2 * step);
    if (std::fabs(side[0] + side[1] - 2 * middle) / step < tolerance / 2) break;
  }
  return result;
}

void scale_to_one(std::vector<double>& direction) {
  double squares = 0;
  for (const double value : direction) squares += value * value;
  for (double& value : direction) value /= std::sqrt(squares);
}

void check_values(Case& of, bool refit, const std::string& name, std::span<float> values,
                  std::span<const float> gradient, bool may_be_zero) {
  double squares = 0;
  for (const float value : gradient) squares += double{value} * value;
  const double norm = std::sqrt(squares);
  if (!may_be_zero) {
    EXPECT_GT(norm, 1e-4) << name << " has no gradient: nothing is checked";
  }
  Rng draw(17, Stream::weights, values.size());
  for (const bool along : {true, false}) {
    std::vector<double> direction(values.size());
    for (size_t at = 0; at < values.size(); ++at) {
      direction[at] = along && norm > 0 ? double{gradient[at]} : draw.normal();
    }
    scale_to_one(direction);
    double wanted = 0;
    for (size_t at = 0; at < values.size(); ++at) wanted += direction[at] * double{gradient[at]};
    // Rounding of fp32 forward passes over the step; curvature within it.
    const double tolerance = 3e-3 + 0.01 * norm;
    EXPECT_NEAR(slope(of, refit, values, direction, tolerance), wanted, tolerance)
        << name << (along ? " along its gradient" : " along a random direction");
  }
}

bool is_discriminator(const std::string& name) {
  return name.rfind("discriminator", 0) == 0;
}

void check_model(Case& of, bool refit = false,
                 const std::function<bool(const std::string&)>& skip = {}) {
  std::vector<float> gradient(static_cast<size_t>(of.model->layout().size()));
  RowGradients of_uses;
  of.sums(refit, gradient.data(), &of_uses);
  BlockRows rows;
  if (!refit) rows.append(of.compute.thread(0).inputs, of_uses);
  for (const ParameterLayout::Entry& entry : of.model->layout().entries()) {
    if (entry.tensor.size() == 0 || (skip && skip(entry.name))) continue;
    const bool learns = !refit || (entry.tensor.offset >= of.model->refit_first() &&
                                   entry.tensor.offset < of.model->refit_last());
    const std::span<float> part = entry.tensor.vector(gradient.data());
    if (!learns) {  // frozen: no gradient, whatever the loss would say
      for (const float value : part) EXPECT_EQ(value, 0) << entry.name;
      continue;
    }
    // The discriminator descends its loss, the rest of the model ascends it.
    of.adversary = is_discriminator(entry.name) ? 1 : -double{of.reversal};
    check_values(
        of, refit, entry.name, entry.tensor.vector(of.weights.dense.data()), part,
        of.model->options().w_outcome == 0 || entry.name.find("second") == 0 ||
            (!refit && (entry.name.find("removal") == 0 || entry.name.find("critic") == 0)));
  }
  if (refit) return;
  of.adversary = -double{of.reversal};
  for (auto [table, uses] :
       {std::pair(&of.weights.cats, &rows.cats), std::pair(&of.weights.items, &rows.items)}) {
    if (table->rows == 0 || (skip && skip(table->name))) continue;
    std::vector<float> whole(table->weights.size());
    for (size_t use = 0; use < uses->rows.size(); ++use) {
      for (int64_t col = 0; col < table->width; ++col) {
        whole[static_cast<size_t>(uses->rows[use] * table->width + col)] +=
            uses->gradient[use * static_cast<size_t>(table->width) + static_cast<size_t>(col)];
      }
    }
    check_values(of, false, table->name, table->weights, whole, false);
  }
}

class ModelGradient : public testing::TestWithParam<Shape> {};

void PrintTo(const Shape& shape, std::ostream* out) {
  *out << shape.name;
}

TEST_P(ModelGradient, EqualsTheSlopeOfTheLossInEveryTensor) {
  Case of(GetParam());
  check_model(of);
}

void check_cuts(Case& of) {
  std::vector<float> gradient(static_cast<size_t>(of.model->layout().size()));
  std::vector<int64_t> told;
  std::vector<std::vector<float>> then;
  const std::function<void(int64_t)> complete = [&](int64_t from) {
    told.push_back(from);
    then.emplace_back(gradient.begin() + from, gradient.end());
  };
  RowGradients rows;
  of.complete = &complete;
  of.sums(false, gradient.data(), &rows);
  EXPECT_EQ(told, of.model->gradient_cuts());
  for (size_t cut = 0; cut < told.size(); ++cut) {
    EXPECT_TRUE(std::ranges::equal(then[cut], std::span(gradient).subspan(told[cut])))
        << "changed after it was called complete from " << told[cut];
    EXPECT_TRUE(std::ranges::any_of(then[cut], [](float value) { return value != 0; }));
  }
}

TEST_P(ModelGradient, ChangesNoMoreFromACutOnOnceThatIsComplete) {
  Case of(GetParam());
  check_cuts(of);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ModelGradient,
    testing::Values(
        Shape{.name = "separable"}, Shape{.name = "separable_missing", .missing_mediators = true},
        Shape{.name = "separable_all",
              .item = true,
              .cat = 2,
              .touch_dense = 2,
              .missing_mediators = true},
        Shape{.name = "separable_no_context", .dense = 0},
        Shape{.name = "additive", .continuous = true},
        Shape{.name = "additive_all",
              .continuous = true,
              .item = true,
              .cat = 2,
              .touch_dense = 2,
              .missing_mediators = true},
        Shape{.name = "general", .general = true},
        Shape{.name = "general_all",
              .item = true,
              .cat = 2,
              .touch_dense = 2,
              .missing_mediators = true,
              .general = true},
        Shape{.name = "general_no_context", .dense = 0, .general = true},
        Shape{.name = "general_continuous",
              .continuous = true,
              .missing_mediators = true,
              .general = true},
        Shape{.name = "arm", .arm = true},
        Shape{.name = "arm_all", .arm = true, .cat = 2, .missing_mediators = true},
        Shape{
            .name = "arm_continuous", .arm = true, .continuous = true, .missing_mediators = true}),
    [](const testing::TestParamInfo<Shape>& shape) { return std::string(shape.param.name); });

// --- proxy mode

class ProxyGradient : public testing::TestWithParam<Shape> {};

bool is_law(const std::string& name) {
  return name.rfind("mediator", 0) == 0;
}

TEST_P(ProxyGradient, EqualsTheSlopeOfTheLossInEveryTensor) {
  Case of(GetParam());
  of.reversal = 0.7f;
  check_model(of, false, is_law);
}

// The target of the law, the value of the code, does not move with the law's own tensors.
TEST_P(ProxyGradient, ChangesNoMoreFromACutOnOnceThatIsComplete) {
  Case of(GetParam());
  of.reversal = 0.5f;
  check_cuts(of);
}

TEST_P(ProxyGradient, OfTheLawEqualsTheSlopeInItsOwnTensors) {
  ModelOptions options = sizes_of(GetParam());
  options.w_mediator = 0.7;
  Case of(GetParam(), options);
  int64_t tensors = 0;
  check_model(of, false, [&](const std::string& name) {
    tensors += is_law(name);
    return !is_law(name);
  });
  EXPECT_EQ(tensors > 0, GetParam().proxy_input != ProxyInput::none);
}

TEST_P(ProxyGradient, FlippingTheReversalFlipsTheAdversarysShareAndNotTheDiscriminators) {
  Case of(GetParam());
  const std::vector<float> none = of.gradient();
  of.reversal = 0.7f;
  const std::vector<float> reversed = of.gradient();
  of.reversal = -0.7f;
  const std::vector<float> followed = of.gradient();
  double moved = 0;
  for (const ParameterLayout::Entry& entry : of.model->layout().entries()) {
    const std::span<const float> parts[] = {entry.tensor.vector(none.data()),
                                            entry.tensor.vector(reversed.data()),
                                            entry.tensor.vector(followed.data())};
    double largest = 0;
    for (const std::span<const float> part : parts) {
      for (const float value : part) largest = std::max(largest, std::fabs(double{value}));
    }
    double change = 0;
    for (size_t at = 0; at < parts[0].size(); ++at) {
      const double against = double{parts[1][at]} - double{parts[0][at]};
      const double along = double{parts[2][at]} - double{parts[0][at]};
      EXPECT_NEAR(against, -along, 2e-6 * largest) << entry.name;
      change = std::max(change, std::fabs(against));
    }
    if (is_discriminator(entry.name)) {
      EXPECT_EQ(change, 0) << entry.name;
      EXPECT_GT(largest, 1e-3) << entry.name << " learns nothing";
    }
    if (entry.name.rfind("code/touch", 0) == 0 || entry.name.rfind("touch/out", 0) == 0) {
      EXPECT_GT(change, 1e-3) << entry.name;
      moved += change;
    }
  }
  EXPECT_GT(moved, 0);
}

TEST_P(ProxyGradient, OfTheDiscriminatorAloneIsItsPartOfTheWhole) {
  Case of(GetParam());
  const std::vector<float> whole = of.gradient();
  std::vector<float> alone(whole.size());
  LossSums sums;
  of.model->discriminator_loss(of.compute.pass(0, of.weights.dense.data(), alone.data()),
                               of.compute.thread(0).inputs, of.weights, sums);
  const int64_t first = of.model->discriminator_first();
  const int64_t last = of.model->discriminator_last();
  EXPECT_LT(first, last);
  EXPECT_EQ(last, of.model->layout().size());
  for (int64_t at = 0; at < last; ++at) {
    EXPECT_EQ(alone[static_cast<size_t>(at)], at < first ? 0 : whole[static_cast<size_t>(at)]);
  }
  EXPECT_EQ(sums.adversary, of.sums(false, nullptr, nullptr).adversary);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ProxyGradient,
    testing::Values(
        Shape{.name = "code_of_touches", .proxy = true},
        Shape{
            .name = "code_of_touches_all", .item = true, .cat = 2, .touch_dense = 1, .proxy = true},
        Shape{.name = "reads_clean", .proxy = true, .proxy_input = ProxyInput::clean},
        Shape{.name = "reads_all", .item = true, .proxy = true, .proxy_input = ProxyInput::all}),
    [](const testing::TestParamInfo<Shape>& shape) { return std::string(shape.param.name); });

TEST(ObjectiveGradients, OfOutcomeAndMediatorAddUpToTheWhole) {
  for (const bool proxy : {false, true}) {
    ModelOptions options = sizes_of({.name = "", .proxy = proxy});
    options.w_second = 0.8;
    Case of({.name = "objectives", .item = true, .missing_mediators = true, .proxy = proxy},
            options);
    of.reversal = 0.4f;
    const std::vector<float> whole = of.gradient();
    of.objective = Objective::outcome;
    const std::vector<float> outcome = of.gradient();
    of.objective = Objective::mediator;
    const std::vector<float> mediator = of.gradient();
    double largest[2] = {0, 0};
    for (size_t at = 0; at < whole.size(); ++at) {
      EXPECT_NEAR(outcome[at] + mediator[at], whole[at], 1e-5 + 1e-5 * std::fabs(whole[at]));
      if (static_cast<int64_t>(at) >= of.model->trunk_last()) continue;
      largest[0] = std::max(largest[0], std::fabs(double{outcome[at]}));
      largest[1] = std::max(largest[1], std::fabs(double{mediator[at]}));
    }
    EXPECT_GT(largest[0], 0.01);
    EXPECT_GT(largest[1], 0.01);
  }
}

TEST(SecondStageGradient, EqualsTheSlopeWhereItsTargetIsFixed) {
  ModelOptions options = small_sizes();
  options.w_mediator = 0;
  options.w_outcome = 0;
  options.w_second = 0.7;
  Case of({.name = "second", .cat = 2}, options);
  // A constant h: what the context moves is Lambda alone, the target stays.
  for (const ParameterLayout::Entry& entry : of.model->layout().entries()) {
    if (entry.name.rfind("confounding", 0) != 0) continue;
    for (float& value : entry.tensor.vector(of.weights.dense.data())) value = 0;
  }
  check_model(of, false, [](const std::string& name) { return name.rfind("confounding", 0) == 0; });
}

TEST(RefitGradient, OfSecondStageAndRemovalNetMovesNothingElse) {
  for (const bool missing : {false, true}) {
    Case of({.name = "refit", .item = true, .cat = 2, .missing_mediators = missing}, small_sizes(),
            1);
    check_model(of, true);
  }
}

TEST(RefitGradient, OfTheRemovalNetAloneWhereOutcomesAreContinuous) {
  Case of({.name = "refit_additive", .continuous = true});
  check_model(of, true);
}

}  // namespace
}  // namespace alm
