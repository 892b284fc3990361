// Public experiments that `alm import --dataset` knows by name.
#pragma once

#include <string>
#include <vector>

#include "io/mapping.h"

namespace alm::io {

struct DatasetChoice {
  std::string name;                       // of dataset_names()
  std::string outcome;                    // empty: the data set's first
  std::string arms;                       // "three", "pooled"; empty: all arms as they are
  std::vector<std::string> covariates{};  // columns; empty: none
};

std::vector<std::string> dataset_names();

// The mapping of a data set: an arm log with the randomised assignment as the arm.
//   jtpa       assignmt -> training (mediator) -> earnings over 30 months; reference "no offer"
//   hillstrom  segment -> visit (mediator) -> conversion or spend; reference "No E-Mail"; `arms`
//              "pooled" makes one arm "E-Mail" of both e-mails
// Covariates measured before the assignment are offered: text and whole numbers of few levels
// become /journey/cat, others /journey/dense. UserError naming what is offered.
Mapping dataset_mapping(const DatasetChoice& choice);

}  // namespace alm::io
