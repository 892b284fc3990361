// Public data sets that `alm import --dataset` knows by name.
#pragma once

#include <string>
#include <vector>

#include "io/mapping.h"

namespace alm::io {

struct DatasetChoice {
  std::string name;                       // of dataset_names()
  std::string outcome;                    // empty: the data set's first
  std::string arms;                       // empty: the data set's first, where it offers any
  std::vector<std::string> covariates{};  // columns, or "all"; empty: none
  std::string mediator{};                 // empty: the data set's first
  std::string unit{};                     // of a journey; empty: the data set's first
  bool own_clusters = false;              // a cluster table will say the cluster of each item
};

// A data set ready to import.
struct Dataset {
  Mapping mapping;
  std::vector<std::string> tables;              // those of the files that hold rows
  std::vector<std::string> unknown_clusters{};  // texts by which a list of clusters says "none"
  std::vector<std::string> notes;  // what a person should know of the log made, in sentences
};

std::vector<std::string> dataset_names();
// Every word that some data set offers for --arms, and for --unit.
std::vector<std::string> dataset_arms();
std::vector<std::string> dataset_units();

// How `files` (as expand_tables takes them) become a log. Files to be joined are read
// here. docs/import.md says what each data set is made into. UserError naming what is offered when
// a choice is not, and what is missing and where it belongs when a file is.
Dataset open_dataset(const DatasetChoice& choice, const std::vector<std::string>& files);

}  // namespace alm::io
