// Lazada (published with DESCN): vouchers sent by a policy in the training file and at random in
// the test file. Nothing between voucher and label is known.
#include "io/datasets/spec.h"
#include "io/row_maker.h"
#include "kernels/base/check.h"

namespace alm::io {

namespace {

std::string is_randomised(const std::string& path) {
  const std::string stem = table_stem(path);
  if (stem.find("test") != stem.npos) return "1";
  if (stem.find("train") != stem.npos) return "0";
  throw UserError(path +
                  ": lazada is full_trainset.csv (treated by a policy) and full_testset.csv " +
                  "(at random); the name must say which of them this is");
}

}  // namespace

DatasetSpec lazada_dataset() {
  DatasetSpec spec;
  spec.name = "lazada";
  spec.mapping =
      "[file]\n"
      "form = journey\n"
      "reference_arm = not treated\n"
      "[columns]\n"
      "cluster = is_treat\n"
      "outcome = label\n"
      "[clusters]\n"
      "0 = not treated\n"
      "1 = treated\n";
  spec.outcomes = {"label"};
  spec.dense = numbered("f", 83);
  spec.complete = [](const DatasetChoice&, Dataset& dataset) {
    for (const std::string& table : dataset.tables) is_randomised(table);  // complain at once
    dataset.mapping.make_rows = constant_column("randomised", is_randomised);
    dataset.mapping.columns["randomised"] = {"randomised"};
  };
  return spec;
}

}  // namespace alm::io
