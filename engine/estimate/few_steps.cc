#include "engine/estimate/few_steps.h"

#include "kernels/base/text.h"

namespace alm {
namespace {

bool below(const Bundle& bundle, int64_t steps) {
  return bundle.main_steps >= 0 && bundle.main_steps < steps;
}

}  // namespace

std::string few_steps_warning(const Bundle& bundle, const std::string& consequence) {
  if (!below(bundle, kFewSteps)) return "";
  const char* const of_intervals =
      below(bundle, kTooFewSteps) ? "no interval is given" : "intervals do not know that";
  return format(
      "the fit took %lld steps, below %lld: it may not have learned the outcome or the mediator, "
      "and %s; use a larger log, more --epochs, a smaller --batch, or for arm logs --nuisance "
      "tabular",
      static_cast<long long>(bundle.main_steps), static_cast<long long>(kFewSteps),
      consequence.empty() ? of_intervals : consequence.c_str());
}

std::string undertrained(const Bundle& bundle) {
  if (!below(bundle, kTooFewSteps)) return "";
  return format("the fit took %lld steps, below %lld: too few to trust an interval",
                static_cast<long long>(bundle.main_steps), static_cast<long long>(kTooFewSteps));
}

}  // namespace alm
