// RATE from its definition, for rows and not for speed.
#pragma once

#include <span>

namespace alm::reference {

struct RateAreas {
  double autoc;
  double qini;
};

// Yadlowsky et al., section 2: with the rows in order of priority, TOC(j/n) is the mean value of
// the first j minus the mean of all; AUTOC is the mean of TOC(j/n), Qini that of j/n TOC(j/n), j
// = 1..n. The value of a row is replaced by the mean of the rows of its priority: the expectation
// over the orders of ties. O(n^2).
RateAreas rate_by_definition(std::span<const double> priority, std::span<const double> value);

}  // namespace alm::reference
