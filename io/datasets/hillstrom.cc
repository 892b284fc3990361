// Hillstrom's e-mail experiment: an e-mail or none, a visit, a purchase.
#include "io/datasets/spec.h"

namespace alm::io {

DatasetSpec hillstrom_dataset() {
  DatasetSpec spec;
  spec.name = "hillstrom";
  spec.mapping =
      "[file]\n"
      "form = journey\n"
      "reference_arm = No E-Mail\n"
      "[columns]\n"
      "cluster = segment\n"
      "mediator = visit\n"
      "outcome = conversion\n";
  spec.outcomes = {"conversion", "spend"};
  spec.continuous = {"spend"};
  spec.arms = {"three", "pooled"};
  spec.cat = {"recency", "history_segment", "mens", "womens", "zip_code", "newbie", "channel"};
  spec.dense = {"history"};
  spec.complete = [](const DatasetChoice& choice, Dataset& dataset) {
    mark_randomised(dataset, true);
    if (choice.arms != "pooled") return;
    dataset.mapping.clusters = {{"Mens E-Mail", "E-Mail"}, {"Womens E-Mail", "E-Mail"}};
  };
  return spec;
}

}  // namespace alm::io
