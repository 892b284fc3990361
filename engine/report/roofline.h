// The page of a profile: how near every operation of a training step comes to what one thread of
// the machine reaches, as a roofline (Williams, Waterman, Patterson 2009) and a table.
#pragma once

#include <string>
#include <vector>

namespace alm {

struct RooflineOp {
  std::string name;
  double calls = 0;    // a step
  double seconds = 0;  // of processor time, over all measured steps
  double flops = 0;    // over the same
  double bytes = 0;    // touched once at least; 0 where nobody counts them
};

struct Roofline {
  std::string title;            // what was measured, in a few words
  std::string machine;          // the device, and how many ranks and threads
  double total_seconds = 0;     // of processor time, operations and what lies between them
  double flops_per_second = 0;  // of one large product, one thread
  double bytes_per_second = 0;  // of y += x on vectors that no cache holds, one thread
  std::vector<RooflineOp> ops;
};

// A self-contained page.
std::string make_roofline_report(const Roofline& roofline);

}  // namespace alm
