#include "engine/estimate/settled_outcome.h"

#include "kernels/base/text.h"

namespace alm {

void warn_of_settled_outcome(io::Json& estimates) {
  const io::Json& prediction = estimates.at("prediction");
  for (const char* key : {"rig", "r2"}) {
    const auto found = prediction.find(key);
    if (found == prediction.end() || !found->is_number() || found->get<double>() < kSettled) {
      continue;
    }
    estimates.at("identification")
        .at("warnings")
        .push_back(format("the mediator and the other columns all but settle the outcome (%s "
                          "%.3f): likely one of them was made from it or recorded after it, and "
                          "then no value here is an effect; look at how each came about",
                          key, found->get<double>()));
  }
}

}  // namespace alm
