// Uplift and Qini curves as sums over groups of equal scores (method 6.1).
#pragma once

#include <optional>

namespace alm {

// What a group of equal scores adds.
struct Step {
  double treated = 0, treated_outcome = 0, control = 0, control_outcome = 0;

  void add(const Step& other) {
    treated += other.treated;
    treated_outcome += other.treated_outcome;
    control += other.control;
    control_outcome += other.control_outcome;
  }
  double all() const { return treated + control; }
  // Difference of rates times the journeys so far; an empty arm has rate 0.
  double uplift() const {
    return ((treated > 0 ? treated_outcome / treated : 0) -
            (control > 0 ? control_outcome / control : 0)) *
           all();
  }
  double qini() const {
    return treated_outcome - (control > 0 ? control_outcome * treated / control : 0);
  }
};

// Trapezoids under both curves, step by step in descending score.
struct Areas {
  Step at;
  double uplift = 0, qini = 0;

  void add(const Step& step) {
    const double uplift_before = at.uplift(), qini_before = at.qini();
    at.add(step);
    uplift += 0.5 * step.all() * (uplift_before + at.uplift());
    qini += 0.5 * step.all() * (qini_before + at.qini());
  }
};

// Areas of the perfect orders of a binary outcome, `total` being the whole curve. scikit-uplift
// ranks by 2 * (y == w) + (y if control responders > treated non-responders else w), and for Qini
// by y * w - y * (1 - w).
double perfect_uplift_area(const Step& total);
double perfect_qini_area(const Step& total);

// (A - A_random) / (A_perfect - A_random); A_random is the straight line to `last`. None where the
// perfect order is no better than a random one.
std::optional<double> normalised(double area, double perfect, double last, double all);
// Of a binary outcome.
std::optional<double> auuc_sk(const Areas& areas);
std::optional<double> qini_sk(const Areas& areas);

// Most that the area of the exact uplift curve can differ from the chord over one bin whose rows
// come in an unknown order: the curve stays between the difference of the lowest and highest
// reachable rates.
double bin_error(const Step& before, const Step& step);

}  // namespace alm
