#include "engine/estimate/policy.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/estimate/bootstrap.h"
#include "engine/estimate/prediction.h"
#include "kernels/base/check.h"

namespace alm {
namespace {

constexpr double kPerThousand = 1000;
const char* const kNoValues = "no exposure with a value of its own";

// Value per 1,000 exposures by column, of the best `share` of every pool.
std::vector<double> value_of(const std::vector<RankedTies>& pools, double share) {
  std::vector<Weighted> chosen(static_cast<size_t>(ReplicateWeights::kColumns));
  for (const RankedTies& pool : pools) {
    const std::vector<Weighted> part = top(pool, share);
    for (size_t column = 0; column < chosen.size(); ++column) {
      chosen[column].sum += part[column].sum;
      chosen[column].weight += part[column].weight;
    }
  }
  std::vector<double> values;
  for (const Weighted& of : chosen) values.push_back(kPerThousand * of.mean());
  return values;
}

double exposures(const std::vector<RankedTies>& pools) {
  double weight = 0;
  for (const RankedTies& pool : pools) {
    for (const auto& tie : pool) weight += tie[0].weight;
  }
  return weight;
}

std::vector<double> minus(std::vector<double> left, const std::vector<double>& right) {
  for (size_t column = 0; column < left.size(); ++column) left[column] -= right[column];
  return left;
}

// Value and interval of the replicates.
void put(io::Json& json, const std::string& key, const std::vector<double>& columns) {
  put_metric(json, key.c_str(),
             std::isfinite(columns[0]) ? Metric{columns[0], ""} : Metric{{}, kNoValues});
  const auto interval = percentile_interval({columns.begin() + 1, columns.end()});
  json["ci95"][key] = nullptr;
  if (std::isfinite(interval[0])) json["ci95"][key] = {interval[0], interval[1]};
}

}  // namespace

Choice choice_by_score(const char* name, const RankedValues& values, bool truth) {
  Choice choice;
  choice.name = name;
  choice.values = {ranked_ties(values.values())};
  if (choice.values[0].empty()) choice.why = "no exposure was scored so";
  if (truth) {
    choice.true_do = {ranked_ties(values.true_do())};
    choice.true_ett = {ranked_ties(values.true_ett())};
  }
  return choice;
}

void ValuesByHalf::merge(const ValuesByHalf& other) {
  values.merge(other.values);
  true_do.merge(other.true_do);
  true_ett.merge(other.true_ett);
}

void ValuesByHalf::reduce(Communicator& comm) {
  values.reduce(comm, "values by half");
  true_do.reduce(comm, "true values by half");
  true_ett.reduce(comm, "true values by half");
}

Choice choice_by_credit(const char* name, const ValuesByHalf& values,
                        std::span<const double> credit, bool truth) {
  Choice choice;
  choice.name = name;
  const size_t clusters = credit.size() / 2;
  for (size_t half = 0; half < 2; ++half) {
    std::vector<int64_t> order(clusters);
    std::iota(order.begin(), order.end(), int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return credit[2 * static_cast<size_t>(a) + 1 - half] >
             credit[2 * static_cast<size_t>(b) + 1 - half];
    });
    for (int64_t& row : order) row = 2 * row + static_cast<int64_t>(half);
    choice.values.push_back(ranked_ties(values.values, order));
    if (!truth) continue;
    choice.true_do.push_back(ranked_ties(values.true_do, order));
    choice.true_ett.push_back(ranked_ties(values.true_ett, order));
  }
  return choice;
}

io::Json policy_json(std::span<const Choice> choices) {
  ALM_CHECK(!choices.empty() && choices[0].why.empty());
  io::Json rows = io::Json::array();
  const std::vector<double> random = value_of(choices[0].values, 1);
  for (const double budget : kBudgets) {
    io::Json row{{"budget", budget}, {"exposures", budget * exposures(choices[0].values)}};
    row["ci95"] = io::Json::object();
    io::Json truth = io::Json::object(), above = io::Json::object(), times = io::Json::object();
    const std::vector<double> first = value_of(choices[0].values, budget);
    for (const Choice& choice : choices) {
      if (!choice.why.empty()) {
        put_metric(row, choice.name.c_str(), Metric{{}, choice.why});
        continue;
      }
      const std::vector<double> value = value_of(choice.values, budget);
      put(row, choice.name, value);
      if (random[0] > 0) times[choice.name] = io::number(value[0] / random[0]);
      if (&choice != &choices[0]) put(above, choice.name, minus(first, value));
      if (!choice.true_do.empty()) {
        truth[choice.name] = {{"do", io::number(value_of(choice.true_do, budget)[0])},
                              {"ett", io::number(value_of(choice.true_ett, budget)[0])}};
      }
    }
    put(row, "random", random);
    put(above, "random", minus(first, random));
    if (!choices[0].true_do.empty()) {
      truth["random"] = {{"do", io::number(value_of(choices[0].true_do, 1)[0])},
                         {"ett", io::number(value_of(choices[0].true_ett, 1)[0])}};
      row["truth"] = truth;
    }
    row["above"] = above;
    row["times_random"] = times;
    rows.push_back(row);
  }
  return rows;
}

io::Json rate_json(const Choice& choice, const Choice* rival, double rows) {
  const auto columns = [&](const Choice& of, double Rate::*area) {
    std::vector<double> values;
    for (const Rate& rate : rates(of.values.at(0), rows)) values.push_back(rate.*area);
    return values;
  };
  // The value with the spread of its replicates (RATE is asymptotically normal).
  const auto entry = [&](const std::vector<double>& values) {
    io::Json json{{"value", io::number(values[0])}};
    double sum = 0, squares = 0;
    const double n = static_cast<double>(values.size() - 1);
    for (size_t column = 1; column < values.size(); ++column) sum += values[column];
    for (size_t column = 1; column < values.size(); ++column) {
      squares += (values[column] - sum / n) * (values[column] - sum / n);
    }
    const double se = std::sqrt(squares / (n - 1));
    json["se"] = io::number(se);
    json["ci95"] = nullptr;
    if (std::isfinite(values[0]) && std::isfinite(se)) {
      json["ci95"] = {values[0] - 1.96 * se, values[0] + 1.96 * se};
    }
    return json;
  };
  io::Json json;
  for (const auto& [name, area] : {std::pair{"autoc", &Rate::autoc}, {"qini", &Rate::qini}}) {
    const std::vector<double> own = columns(choice, area);
    json[name] = entry(own);
    if (!rival) continue;
    const std::vector<double> other = columns(*rival, area);
    json[std::string("backdoor_") + name] = entry(other);
    json[std::string(name) + "_above_backdoor"] = entry(minus(own, other));
  }
  json["exposures"] = rows;
  return json;
}

}  // namespace alm
