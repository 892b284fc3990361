// Criteo Uplift v2: a randomised right to bid, an advertisement seen, a visit, a conversion.
#include "io/datasets/spec.h"

namespace alm::io {

DatasetSpec criteo_uplift_dataset() {
  DatasetSpec spec;
  spec.name = "criteo-uplift";
  spec.mapping =
      "[file]\n"
      "form = journey\n"
      "reference_arm = not exposed\n"
      "[columns]\n"
      "cluster = exposure\n"
      "mediator = visit\n"
      "outcome = conversion\n"
      "[clusters]\n"
      "0 = not exposed\n"
      "1 = exposed\n";
  spec.outcomes = {"conversion"};
  spec.arms = {"exposure", "treatment"};
  spec.dense = numbered("f", 12);
  spec.complete = [](const DatasetChoice& choice, Dataset& dataset) {
    const bool randomised = choice.arms == "treatment";
    mark_randomised(dataset, randomised);
    if (randomised) {
      dataset.mapping.columns["cluster"] = {"treatment"};
      dataset.mapping.clusters = {{"0", "not treated"}, {"1", "treated"}};
      dataset.mapping.reference_arm = "not treated";
      return;
    }
    dataset.notes.push_back(
        "exposure was not randomised (--arms treatment takes the randomised arm), and visit and "
        "conversion share hidden causes: a front-door value here is a stress test");
  };
  return spec;
}

}  // namespace alm::io
