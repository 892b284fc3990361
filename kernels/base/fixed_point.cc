#include "kernels/base/fixed_point.h"

namespace alm {

void cannot_sum(double term) {
  throw UserError(
      format("a term of an exact sum is %g, of at most 1.15e18: the log holds extreme values; look "
             "at /journey/outcome, /journey/weight and the dense columns with alm inspect, and "
             "divide the extreme column by a constant (for a run trained on another log: use a log "
             "of the same units)",
             term));
}

}  // namespace alm
