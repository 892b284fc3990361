// What io/datasets.cc knows of each data set; one file a data set.
#pragma once

#include <string>
#include <vector>

#include "io/datasets.h"

namespace alm::io {

struct DatasetSpec {
  const char* name;
  const char* mapping;                    // without what the choice adds
  std::vector<std::string> outcomes;      // the first is the default
  std::vector<std::string> continuous{};  // those of them that are no 0 or 1
  std::vector<std::string> arms{};        // of --arms, the first is the default
  std::vector<std::string> units{};       // of --unit, the first is the default
  std::vector<std::string> mediators{};   // of --mediator-column; empty: no choice
  std::vector<std::string> cat{};         // covariates offered, as ids
  std::vector<std::string> dense{};       // and as numbers
  // What the words above cannot say; `dataset` is otherwise complete.
  void (*complete)(const DatasetChoice& choice, Dataset& dataset) = nullptr;
};

DatasetSpec jtpa_dataset();
DatasetSpec hillstrom_dataset();
DatasetSpec starbucks_dataset();
DatasetSpec lazada_dataset();
DatasetSpec criteo_uplift_dataset();
DatasetSpec criteo_attribution_dataset();
DatasetSpec open_bandit_dataset();
DatasetSpec paths_dataset();
DatasetSpec kuairand_dataset();

// Of a path: its last part without .gz or .zst and then without .csv or .tsv.
std::string table_stem(const std::string& path);
// prefix0, prefix1, ..., one for each of `count`.
std::vector<std::string> numbered(const std::string& prefix, int count);
// All rows are (or are not) of a randomised experiment.
void mark_randomised(Dataset& dataset, bool randomised);

}  // namespace alm::io
