#include <cmath>

#include "engine/train/step.h"
#include "kernels/base/logistic.h"

namespace alm {
namespace {

constexpr double LossSums::*kTerms[] = {&LossSums::mediator,
                                        &LossSums::outcome,
                                        &LossSums::second_stage,
                                        &LossSums::propensity,
                                        &LossSums::weight,
                                        &LossSums::law,
                                        &LossSums::proxy,
                                        &LossSums::proxy_weight,
                                        &LossSums::adversary,
                                        &LossSums::adversary_weight,
                                        &LossSums::adversary_outcome,
                                        &LossSums::contrastive,
                                        &LossSums::contrastive_weight};

double ratio(double sum, double weight) {
  return weight > 0 ? sum / weight : 0;
}

}  // namespace

io::Json to_json(const Losses& losses, bool proxy) {
  io::Json json{{"mediator", io::number(losses.mediator)},
                {"outcome", io::number(losses.outcome)},
                {"second_stage", io::number(losses.second_stage)},
                {"propensity", io::number(losses.propensity)}};
  if (proxy) {
    json["law"] = io::number(losses.law);
    json["proxy"] = io::number(losses.proxy);
    json["adversary"] = io::number(losses.adversary);
    json["entropy_floor"] = io::number(losses.entropy_floor);
    json["contrastive"] = io::number(losses.contrastive);
  }
  return json;
}

void LossTotals::add(const LossSums& block) {
  static_assert(std::size(kTerms) == std::tuple_size_v<decltype(sums_)>);
  for (const auto term : kTerms) {
    if (!std::isfinite(block.*term) || std::fabs(block.*term) > kLargestLoss) {
      ++broken_;
      return;
    }
  }
  for (size_t index = 0; index < sums_.size(); ++index) sums_[index].add(block.*kTerms[index]);
}

void LossTotals::add(const LossTotals& other) {
  broken_ += other.broken_;
  for (size_t index = 0; index < sums_.size(); ++index) sums_[index].add(other.sums_[index]);
}

void LossTotals::reduce(Communicator& world, int64_t* stop) {
  std::array<int64_t, kLosses * FixedSum::kLimbs + 2> words{};
  for (size_t index = 0; index < sums_.size(); ++index) {
    sums_[index].to_limbs(&words[index * FixedSum::kLimbs]);
  }
  words[words.size() - 2] = broken_;
  words[words.size() - 1] = *stop;
  world.all_reduce_sum(std::span<int64_t>(words), "losses and flags");
  for (size_t index = 0; index < sums_.size(); ++index) {
    sums_[index].from_limbs(&words[index * FixedSum::kLimbs]);
  }
  broken_ = words[words.size() - 2];
  *stop = words[words.size() - 1];
}

LossSums LossTotals::sums() const {
  LossSums total;
  for (size_t index = 0; index < sums_.size(); ++index) total.*kTerms[index] = sums_[index].value();
  return total;
}

Losses LossTotals::means() const {
  const LossSums total = sums();
  return {.mediator = ratio(total.mediator, total.weight),
          .outcome = ratio(total.outcome, total.weight),
          .second_stage = ratio(total.second_stage, total.weight),
          .propensity = ratio(total.propensity, total.weight),
          .weight = total.weight,
          .law = ratio(total.law, total.weight),
          .proxy = ratio(total.proxy, total.proxy_weight),
          .adversary = ratio(total.adversary, total.adversary_weight),
          .entropy_floor = binary_entropy(ratio(total.adversary_outcome, total.adversary_weight)),
          .contrastive = ratio(total.contrastive, total.contrastive_weight)};
}

}  // namespace alm
