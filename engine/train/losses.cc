#include <cmath>

#include "engine/train/step.h"

namespace alm {

void LossTotals::add(const LossSums& block) {
  const double terms[5] = {block.mediator, block.outcome, block.second_stage, block.propensity,
                           block.weight};
  for (const double term : terms) {
    if (!std::isfinite(term) || std::fabs(term) > 0x1p59) {
      ++broken_;
      return;
    }
  }
  for (size_t index = 0; index < sums_.size(); ++index) sums_[index].add(terms[index]);
}

void LossTotals::reduce(Communicator& world, int64_t* stop) {
  std::array<int64_t, 5 * FixedSum::kLimbs + 2> words{};
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

Losses LossTotals::means() const {
  const double weight = sums_[4].value();
  const double scale = weight > 0 ? 1 / weight : 0;
  return {sums_[0].value() * scale, sums_[1].value() * scale, sums_[2].value() * scale,
          sums_[3].value() * scale, weight};
}

}  // namespace alm
