#include "io/datasets.h"

#include <algorithm>
#include <filesystem>

#include "io/datasets/spec.h"
#include "io/import.h"
#include "io/row_maker.h"
#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace fs = std::filesystem;

namespace {

const std::vector<DatasetSpec>& specs() {
  static const std::vector<DatasetSpec> all = {
      jtpa_dataset(),   hillstrom_dataset(),          starbucks_dataset(),
      paths_dataset(),  criteo_attribution_dataset(), criteo_uplift_dataset(),
      lazada_dataset(), open_bandit_dataset(),        kuairand_dataset()};
  return all;
}

bool contains(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

std::string without_end(std::string text, std::initializer_list<const char*> ends) {
  for (const std::string end : ends) {
    if (text.ends_with(end)) text.resize(text.size() - end.size());
  }
  return text;
}

// One of what is offered: the first when nothing was asked for.
std::string choose(const DatasetSpec& spec, const char* option, const std::string& asked,
                   const std::vector<std::string>& offered) {
  if (asked.empty()) return offered.empty() ? "" : offered[0];
  if (contains(offered, asked)) return asked;
  throw UserError(format("--%s %s: %s offers %s", option, asked.c_str(), spec.name,
                         offered.empty() ? "no choice" : join(offered, ", ").c_str()));
}

void add_covariates(const DatasetSpec& spec, std::vector<std::string> asked, Mapping& mapping) {
  if (asked == std::vector<std::string>{"all"}) {
    asked = spec.cat;
    asked.insert(asked.end(), spec.dense.begin(), spec.dense.end());
  }
  for (const std::string& covariate : asked) {
    const bool is_cat = contains(spec.cat, covariate);
    if (!is_cat && !contains(spec.dense, covariate)) {
      std::vector<std::string> offered = spec.cat;
      offered.insert(offered.end(), spec.dense.begin(), spec.dense.end());
      throw UserError(format("--covariates %s: %s offers %s", covariate.c_str(), spec.name,
                             offered.empty() ? "none" : join(offered, ", ").c_str()));
    }
    std::vector<std::string>& columns = mapping.columns[is_cat ? "cat" : "dense"];
    if (contains(columns, covariate)) {
      throw UserError("--covariates: " + covariate + " is given twice");
    }
    columns.push_back(covariate);
  }
}

}  // namespace

std::string table_stem(const std::string& path) {
  return without_end(fs::path(path).filename().string(), {".gz", ".zst", ".csv", ".tsv"});
}

std::vector<std::string> numbered(const std::string& prefix, int count) {
  std::vector<std::string> names;
  for (int number = 0; number < count; ++number) names.push_back(prefix + std::to_string(number));
  return names;
}

void mark_randomised(Dataset& dataset, bool randomised) {
  dataset.mapping.make_rows = constant_column(
      "randomised", [=](const std::string&) -> std::string { return randomised ? "1" : "0"; });
  dataset.mapping.columns["randomised"] = {"randomised"};
}

std::vector<std::string> dataset_names() {
  std::vector<std::string> names;
  for (const DatasetSpec& spec : specs()) names.push_back(spec.name);
  return names;
}

std::vector<std::string> dataset_arms() {
  std::vector<std::string> arms;
  for (const DatasetSpec& spec : specs())
    arms.insert(arms.end(), spec.arms.begin(), spec.arms.end());
  return arms;
}

std::vector<std::string> dataset_units() {
  std::vector<std::string> units;
  for (const DatasetSpec& spec : specs()) {
    units.insert(units.end(), spec.units.begin(), spec.units.end());
  }
  return units;
}

Dataset open_dataset(const DatasetChoice& choice, const std::vector<std::string>& files) {
  const auto spec = std::find_if(specs().begin(), specs().end(),
                                 [&](const DatasetSpec& each) { return choice.name == each.name; });
  if (spec == specs().end()) {
    throw UserError(format("'%s' is no data set: there are %s", choice.name.c_str(),
                           join(dataset_names(), ", ").c_str()));
  }
  DatasetChoice chosen = choice;
  chosen.outcome = choose(*spec, "outcome", choice.outcome, spec->outcomes);
  chosen.arms = choose(*spec, "arms", choice.arms, spec->arms);
  chosen.unit = choose(*spec, "unit", choice.unit, spec->units);
  chosen.mediator = choose(*spec, "mediator-column", choice.mediator, spec->mediators);

  Dataset dataset;
  dataset.mapping = parse_mapping(spec->mapping, spec->name);
  Mapping& mapping = dataset.mapping;
  mapping.columns["outcome"] = {chosen.outcome};
  mapping.outcome_kind =
      contains(spec->continuous, chosen.outcome) ? OutcomeKind::continuous : OutcomeKind::binary;
  if (!chosen.mediator.empty()) mapping.columns["mediator"] = {chosen.mediator};
  add_covariates(*spec, choice.covariates, mapping);
  dataset.tables = expand_tables(files);
  if (spec->complete != nullptr) spec->complete(chosen, dataset);
  return dataset;
}

}  // namespace alm::io
