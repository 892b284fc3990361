// Starbucks promotion experiment: a promotion sent or not, a purchase. Nothing in between is known.
#include "io/datasets/spec.h"

namespace alm::io {

DatasetSpec starbucks_dataset() {
  DatasetSpec spec;
  spec.name = "starbucks";
  spec.mapping =
      "[file]\n"
      "form = journey\n"
      "reference_arm = no promotion\n"
      "[columns]\n"
      "user = ID\n"
      "cluster = Promotion\n"
      "outcome = purchase\n"
      "[clusters]\n"
      "No = no promotion\n"
      "Yes = promotion\n";
  spec.outcomes = {"purchase"};
  spec.cat = {"V1", "V4", "V5", "V6", "V7"};
  spec.dense = {"V2", "V3"};
  spec.complete = [](const DatasetChoice&, Dataset& dataset) { mark_randomised(dataset, true); };
  return spec;
}

}  // namespace alm::io
