#include "engine/estimate/uplift_curve.h"

#include <algorithm>
#include <cmath>

namespace alm {
namespace {

// Weights of the four classes of a binary outcome.
struct Classes {
  double treated_one, treated_zero, control_one, control_zero;

  explicit Classes(const Step& total)
      : treated_one(total.treated_outcome),
        treated_zero(total.treated - total.treated_outcome),
        control_one(total.control_outcome),
        control_zero(total.control - total.control_outcome) {}
};

}  // namespace

double perfect_uplift_area(const Step& total) {
  const Classes c(total);
  Areas areas;
  const Step last{.control = c.control_one, .control_outcome = c.control_one};
  const Step next_to_last{.treated = c.treated_zero};
  areas.add({.treated = c.treated_one, .treated_outcome = c.treated_one});
  areas.add({.control = c.control_zero});
  const bool control_first = c.control_one > c.treated_zero;
  areas.add(control_first ? last : next_to_last);
  areas.add(control_first ? next_to_last : last);
  return areas.uplift;
}

double perfect_qini_area(const Step& total) {
  const Classes c(total);
  Areas areas;
  areas.add({.treated = c.treated_one, .treated_outcome = c.treated_one});
  areas.add({.treated = c.treated_zero, .control = c.control_zero});
  areas.add({.control = c.control_one, .control_outcome = c.control_one});
  return areas.qini;
}

std::optional<double> normalised(double area, double perfect, double last, double all) {
  const double random = 0.5 * all * last;
  const double room = perfect - random;
  if (!(std::fabs(room) > 1e-12 * std::max(1.0, std::fabs(perfect)))) return {};
  return (area - random) / room;
}

std::optional<double> auuc_sk(const Areas& areas) {
  return normalised(areas.uplift, perfect_uplift_area(areas.at), areas.at.uplift(), areas.at.all());
}

std::optional<double> qini_sk(const Areas& areas) {
  return normalised(areas.qini, perfect_qini_area(areas.at), areas.at.qini(), areas.at.all());
}

double bin_error(const Step& before, const Step& step) {
  const double kRows = step.all();
  if (!(kRows > 0)) return 0;
  Step after = before;
  after.add(step);
  const auto highest = [](double outcome, double all, double ones) {
    return all + ones > 0 ? (outcome + ones) / (all + ones) : 0;
  };
  const auto lowest = [](double outcome, double all, double zeros) {
    return all + zeros > 0 ? outcome / (all + zeros) : 0;
  };
  const double treated_zero = step.treated - step.treated_outcome;
  const double control_zero = step.control - step.control_outcome;
  const double high = highest(before.treated_outcome, before.treated, step.treated_outcome) -
                      lowest(before.control_outcome, before.control, control_zero);
  const double low = lowest(before.treated_outcome, before.treated, treated_zero) -
                     highest(before.control_outcome, before.control, step.control_outcome);
  const double top = std::max(high * before.all(), high * after.all()) * kRows;
  const double bottom = std::min(low * before.all(), low * after.all()) * kRows;
  const double chord = 0.5 * (before.uplift() + after.uplift()) * kRows;
  return std::max({top - chord, chord - bottom, 0.0});
}

}  // namespace alm
