// National JTPA study: a randomised offer of training, training taken, earnings over 30 months.
#include "io/datasets/spec.h"

namespace alm::io {

DatasetSpec jtpa_dataset() {
  DatasetSpec spec;
  spec.name = "jtpa";
  spec.mapping =
      "[file]\n"
      "form = journey\n"
      "reference_arm = no offer\n"
      "[columns]\n"
      "user = recid\n"
      "cluster = assignmt\n"
      "mediator = training\n"
      "outcome = earnings\n"
      "[clusters]\n"
      "0 = no offer\n"
      "1 = offer\n";
  spec.outcomes = {"earnings"};
  spec.continuous = {"earnings"};
  spec.cat = {"site",     "afdc",    "sex",     "class_tr", "ojt_jsa", "oth_serv", "black",
              "hispanic", "age2225", "age2629", "age3035",  "age3644", "age4554",  "f2sms"};
  // married, pbhous, hsorged and wkless13 hold imputed fractions.
  spec.dense = {"age", "prevearn", "married", "pbhous", "hsorged", "wkless13"};
  spec.complete = [](const DatasetChoice&, Dataset& dataset) { mark_randomised(dataset, true); };
  return spec;
}

}  // namespace alm::io
