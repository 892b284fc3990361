#include "engine/estimate/critic_sums.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace alm {
namespace {

// Shown to less than this share of those to whom it is shown on average: a hole.
constexpr double kHole = 0.1;
constexpr const char* kNames[kLambdaWays] = {"second_stage", "all",     "top16",
                                             "top64",        "uniform", "critic"};

constexpr size_t at(LambdaBy way) {
  return static_cast<size_t>(way);
}

}  // namespace

CriticSums::CriticSums(int64_t clusters)
    : hole_(static_cast<size_t>(clusters)), seen_(static_cast<size_t>(clusters)) {}

void CriticSums::add(const CriticRow& row) {
  ++journeys_;
  weight_.add(row.weight);
  captured_.add(row.weight * row.captured);
  mass16_.add(row.weight * row.mass16);
  mass64_.add(row.weight * row.mass64);
  ess_.add(row.weight * row.ess);
  least_ess_ = std::min(least_ess_, row.ess);
  const double apart = row.lambda[at(LambdaBy::critic)] - row.lambda[at(LambdaBy::second_stage)];
  squares_apart_.add(row.weight * apart * apart);
  const bool known = std::isfinite(row.truth);
  if (known) true_weight_.add(row.weight);
  for (size_t way = 0; way < kLambdaWays; ++way) {
    lambda_[way].add(row.weight * row.lambda[way]);
    if (!known) continue;
    const double error = row.lambda[way] - row.truth;
    error_[way].add(row.weight * error);
    squared_error_[way].add(row.weight * error * error);
  }
}

void CriticSums::add_cluster(int64_t cluster, double shown, double base, double weight) {
  seen_[static_cast<size_t>(cluster)].add(weight);
  if (shown < kHole * base) hole_[static_cast<size_t>(cluster)].add(weight);
}

void CriticSums::merge(const CriticSums& other) {
  journeys_ += other.journeys_;
  least_ess_ = std::min(least_ess_, other.least_ess_);
  for (const auto of :
       {&CriticSums::weight_, &CriticSums::captured_, &CriticSums::mass16_, &CriticSums::mass64_,
        &CriticSums::ess_, &CriticSums::squares_apart_, &CriticSums::true_weight_}) {
    (this->*of).add(other.*of);
  }
  for (size_t way = 0; way < kLambdaWays; ++way) {
    lambda_[way].add(other.lambda_[way]);
    error_[way].add(other.error_[way]);
    squared_error_[way].add(other.squared_error_[way]);
  }
  for (size_t cluster = 0; cluster < hole_.size(); ++cluster) {
    hole_[cluster].add(other.hole_[cluster]);
    seen_[cluster].add(other.seen_[cluster]);
  }
}

void CriticSums::reduce(Communicator& world) {
  world.all_reduce_sum(std::span(&journeys_, 1), "critic's journeys");
  // Positive doubles sort as their bits do.
  int64_t bits = std::bit_cast<int64_t>(least_ess_);
  world.all_reduce_min(std::span(&bits, 1), "critic's least effective sample");
  least_ess_ = std::bit_cast<double>(bits);
  for (FixedSum* of :
       {&weight_, &captured_, &mass16_, &mass64_, &ess_, &squares_apart_, &true_weight_}) {
    world.all_reduce_sum(std::span<FixedSum>(of, 1), "critic's weights");
  }
  for (auto* of : {&lambda_, &error_, &squared_error_}) {
    world.all_reduce_sum(std::span<FixedSum>(*of), "critic's Lambda");
  }
  for (std::vector<FixedSum>* of : {&hole_, &seen_}) {
    world.all_reduce_sum(std::span<FixedSum>(*of), "critic's holes");
  }
}

double CriticSums::disagreement() const {
  return std::sqrt(mean(squares_apart_));
}

io::Json CriticSums::lambda() const {
  const double second = mean(lambda_[at(LambdaBy::second_stage)]);
  const double critic = mean(lambda_[at(LambdaBy::critic)]);
  return {{"second_stage", second},
          {"critic", critic},
          {"difference", critic - second},
          {"disagreement", io::number(disagreement())},
          {"uniform", mean(lambda_[at(LambdaBy::uniform)])},
          {"captured_mass", mean(captured_)},
          {"mass_top16", mean(mass16_)},
          {"mass_top64", mean(mass64_)},
          {"ess", mean(ess_)},
          {"ess_least", least_ess_},
          {"journeys", journeys_}};
}

io::Json CriticSums::against_truth() const {
  const double weight = true_weight_.value();
  if (!(weight > 0)) return nullptr;
  io::Json json;
  for (size_t way = 0; way < kLambdaWays; ++way) {
    json[kNames[way]] = {{"bias", error_[way].value() / weight},
                         {"rmse", std::sqrt(squared_error_[way].value() / weight)}};
  }
  return json;
}

double CriticSums::hole_share(int64_t cluster) const {
  const size_t at = static_cast<size_t>(cluster);
  return hole_[at].value() / seen_[at].value();
}

}  // namespace alm
