// The reference model against PyTorch: the same parameters and journeys give the same losses and
// gradients, so that a comparison of speed is one of engines. The stored answers are of
// tests/golden/make_reference_model_golden.py.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/model/compute.h"
#include "engine/model/model.h"
#include "io/json.h"
#include "kernels/base/hash.h"
#include "tests/source_dir.h"

namespace alm {
namespace {

constexpr double kTolerance = 1e-5;

uint64_t hash_name(const std::string& name) {
  uint64_t word = 0;
  for (const char letter : name) word = mix(word ^ static_cast<unsigned char>(letter));
  return word;
}

double unit_at(uint64_t name, int64_t place) {
  return unit(mix(name ^ static_cast<uint64_t>(place)));
}

// As parameter() in the script.
void fill_by_formula(const std::string& name, int64_t rows, std::span<float> values) {
  const uint64_t word = hash_name(name);
  const double scale = rows == 1 ? 0.1 : 1.5 / std::sqrt(static_cast<double>(rows));
  for (int64_t at = 0; at < std::ssize(values); ++at) {
    values[static_cast<size_t>(at)] = static_cast<float>((2 * unit_at(word, at) - 1) * scale);
  }
}

std::vector<float> flat_columns(const io::Json& rows) {
  std::vector<float> values;
  for (const auto& row : rows) {
    for (const auto& value : row) values.push_back(value.is_null() ? NAN : value.get<float>());
  }
  return values;
}

template <class T>
std::vector<T> flat_ids(const io::Json& rows) {
  std::vector<T> values;
  for (const auto& row : rows) {
    for (const auto& value : row) values.push_back(value.get<T>());
  }
  return values;
}

io::Journeys journeys_of(const io::Json& json) {
  io::Journeys journeys;
  journeys.touch_begin = json["touch_begin"].get<std::vector<int64_t>>();
  journeys.user.resize(json["outcome"].size());
  journeys.row.resize(json["outcome"].size());
  journeys.time = json["time"].get<std::vector<int64_t>>();
  journeys.outcome = json["outcome"].get<std::vector<float>>();
  journeys.weight = json["weight"].get<std::vector<float>>();
  journeys.dense = flat_columns(json["dense"]);
  journeys.cat = flat_ids<int64_t>(json["cat"]);
  journeys.cluster = json["touch_cluster"].get<std::vector<uint32_t>>();
  journeys.item = json["touch_item"].get<std::vector<uint64_t>>();
  journeys.touch_time = json["touch_time"].get<std::vector<int64_t>>();
  journeys.touch_dense = flat_columns(json["touch_dense"]);
  journeys.mediator = json["touch_mediator"].get<std::vector<uint8_t>>();
  return journeys;
}

// Standardised already; an indicator for every column with a gap.
ColumnScales scales_of(const std::vector<float>& values, int64_t columns) {
  ColumnScales scales;
  for (int64_t column = 0; column < columns; ++column) {
    bool gap = false;
    for (int64_t at = column; at < std::ssize(values); at += columns) {
      gap = gap || std::isnan(values[static_cast<size_t>(at)]);
    }
    scales.mean.push_back(0);
    scales.inverse_sd.push_back(1);
    scales.missing_slot.push_back(gap ? scales.slots++ : -1);
  }
  return scales;
}

struct ReferenceModel {
  explicit ReferenceModel(const io::Json& golden)
      : journeys(journeys_of(golden["journeys"])), compute(make_cpu_device("auto"), 1) {
    ModelOptions options = model_options_by_name("reference");
    options.cat_rows = options.item_rows = golden["table_rows"];
    FeatureStats stats;
    io::LogSchema& schema = stats.schema;
    schema.clusters = golden["clusters"];
    schema.dense = std::ssize(golden["journeys"]["dense"][0]);
    schema.cat = std::ssize(golden["journeys"]["cat"][0]);
    schema.touch_dense = std::ssize(golden["journeys"]["touch_dense"][0]);
    schema.item = schema.time = schema.touch_time = schema.mediator = schema.weight = true;
    stats.dense = scales_of(journeys.dense, schema.dense);
    stats.touch_dense = scales_of(journeys.touch_dense, schema.touch_dense);
    stats.longest = golden["longest"];
    stats.item_admitted.assign(static_cast<size_t>(options.item_rows), 1);
    model = make_model(std::make_shared<FeatureStats>(stats), options, golden["longest"]);
    weights = model->fresh_weights(1);
    for (const ParameterLayout::Entry& entry : model->layout().entries()) {
      fill_by_formula(entry.name, entry.tensor.rows, entry.tensor.vector(weights.dense.data()));
    }
    for (RowTable* table : {&weights.cats, &weights.items}) {
      fill_by_formula(table->name, table->rows, table->weights);
    }
    gradient.resize(weights.dense.size());
    Inputs& inputs = compute.thread(0).inputs;
    inputs.fill(journeys, model->stats(), model->options(), model->positions());
    RowGradients of_uses;
    model->loss(compute.pass(0, weights.dense.data(), gradient.data()), inputs, weights, losses,
                &of_uses);
    rows.append(inputs, of_uses);
  }

  // Gradient of a dense tensor or of a whole row table.
  std::vector<float> gradient_of(const std::string& name) const {
    for (const ParameterLayout::Entry& entry : model->layout().entries()) {
      const auto values = entry.tensor.vector(gradient.data());
      if (entry.name == name) return {values.begin(), values.end()};
    }
    const RowTable& table = name == "cats" ? weights.cats : weights.items;
    const RowUses& uses = name == "cats" ? rows.cats : rows.items;
    std::vector<float> summed(table.weights.size());
    for (size_t use = 0; use < uses.rows.size(); ++use) {
      for (int64_t col = 0; col < table.width; ++col) {
        summed[static_cast<size_t>(uses.rows[use] * table.width + col)] +=
            uses.gradient[use * static_cast<size_t>(table.width) + static_cast<size_t>(col)];
      }
    }
    return summed;
  }

  io::Journeys journeys;
  Compute compute;
  std::unique_ptr<Model> model;
  ModelWeights weights;
  std::vector<float> gradient;
  LossSums losses;
  BlockRows rows;
};

io::Json golden_answers() {
  return io::read_json(source_dir() + "/tests/golden/reference_model_golden.json");
}

TEST(ReferenceModel, HasTheLossesOfPyTorch) {
  const io::Json golden = golden_answers();
  const ReferenceModel here(golden);
  const io::Json& wanted = golden["losses"];
  const auto expect = [&](double got, const char* name) {
    const double value = wanted[name];
    EXPECT_NEAR(got, value, kTolerance * std::fabs(value)) << name;
  };
  expect(here.losses.mediator, "mediator");
  expect(here.losses.outcome, "outcome");
  expect(here.losses.second_stage, "second_stage");
}

TEST(ReferenceModel, HasTheGradientsOfPyTorch) {
  const io::Json golden = golden_answers();
  const ReferenceModel here(golden);
  int64_t tensors = 0;
  for (const auto& [name, wanted] : golden["gradients"].items()) {
    const std::vector<float> got = here.gradient_of(name);
    ASSERT_EQ(std::ssize(got),
              wanted["shape"][0].get<int64_t>() * wanted["shape"][1].get<int64_t>())
        << name;
    double squares = 0, signed_sum = 0;
    const uint64_t sign = hash_name(name + " sign");
    for (int64_t at = 0; at < std::ssize(got); ++at) {
      const double value = got[static_cast<size_t>(at)];
      squares += value * value;
      signed_sum += unit_at(sign, at) < 0.5 ? -value : value;
    }
    const double norm = wanted["norm"];
    EXPECT_NEAR(std::sqrt(squares), norm, kTolerance * norm) << name;
    EXPECT_NEAR(signed_sum, wanted["signed"].get<double>(), kTolerance * norm) << name;
    double largest = 0;
    for (const auto& entry : wanted["entries"]) {
      largest = std::max(largest, std::fabs(entry[1].get<double>()));
    }
    for (const auto& entry : wanted["entries"]) {
      EXPECT_NEAR(got[entry[0].get<size_t>()], entry[1].get<double>(), kTolerance * largest)
          << name << " entry " << entry[0];
    }
    ++tensors;
  }
  // Every tensor but those of the removal net and the critic, which learn when all else is frozen.
  int64_t expected = 2;
  for (const ParameterLayout::Entry& entry : here.model->layout().entries()) {
    const bool later = entry.name.starts_with("removal/") || entry.name.starts_with("critic/");
    expected += later ? 0 : 1;
  }
  EXPECT_EQ(tensors, expected);
}

}  // namespace
}  // namespace alm
