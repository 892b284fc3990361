#include "io/datasets.h"

#include <algorithm>
#include <map>

#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

struct Dataset {
  std::string name;
  const char* mapping;                        // without outcome and covariates
  std::vector<std::string> outcomes;          // the first is the default
  std::map<std::string, std::string> pooled;  // --arms pooled; empty: not offered
  std::vector<std::string> cat;
  std::vector<std::string> dense;
};

const std::vector<Dataset>& datasets() {
  static const std::vector<Dataset> all = {
      {"jtpa",
       "[file]\n"
       "form = journey\n"
       "outcome_kind = continuous\n"
       "reference_arm = no offer\n"
       "[columns]\n"
       "user = recid\n"
       "cluster = assignmt\n"
       "mediator = training\n"
       "outcome = earnings\n"
       "[clusters]\n"
       "0 = no offer\n"
       "1 = offer\n",
       {"earnings"},
       {},
       {"site", "afdc", "sex", "class_tr", "ojt_jsa", "oth_serv", "black", "hispanic", "age2225",
        "age2629", "age3035", "age3644", "age4554", "f2sms"},
       // married, pbhous, hsorged and wkless13 hold imputed fractions.
       {"age", "prevearn", "married", "pbhous", "hsorged", "wkless13"}},
      {"hillstrom",
       "[file]\n"
       "form = journey\n"
       "reference_arm = No E-Mail\n"
       "[columns]\n"
       "cluster = segment\n"
       "mediator = visit\n"
       "outcome = conversion\n",
       {"conversion", "spend"},
       {{"Mens E-Mail", "E-Mail"}, {"Womens E-Mail", "E-Mail"}},
       {"recency", "history_segment", "mens", "womens", "zip_code", "newbie", "channel"},
       {"history"}},
  };
  return all;
}

bool contains(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

}  // namespace

std::vector<std::string> dataset_names() {
  std::vector<std::string> names;
  for (const Dataset& dataset : datasets()) names.push_back(dataset.name);
  return names;
}

Mapping dataset_mapping(const DatasetChoice& choice) {
  const auto dataset = std::find_if(datasets().begin(), datasets().end(),
                                    [&](const Dataset& each) { return each.name == choice.name; });
  if (dataset == datasets().end()) {
    throw UserError(format("'%s' is no data set: there are %s", choice.name.c_str(),
                           join(dataset_names(), ", ").c_str()));
  }
  Mapping mapping = parse_mapping(dataset->mapping, dataset->name);

  const std::string outcome = choice.outcome.empty() ? dataset->outcomes[0] : choice.outcome;
  if (!contains(dataset->outcomes, outcome)) {
    throw UserError(format("--outcome %s: %s offers %s", outcome.c_str(), dataset->name.c_str(),
                           join(dataset->outcomes, ", ").c_str()));
  }
  mapping.columns["outcome"] = {outcome};
  if (!mapping.outcome_kind) {
    mapping.outcome_kind = outcome == "spend" ? OutcomeKind::continuous : OutcomeKind::binary;
  }

  if (!choice.arms.empty() && dataset->pooled.empty()) {
    throw UserError("--arms: " + dataset->name + " has two arms and nothing to pool");
  }
  ALM_CHECK(choice.arms.empty() || choice.arms == "three" || choice.arms == "pooled");
  if (choice.arms == "pooled") mapping.clusters = dataset->pooled;

  for (const std::string& covariate : choice.covariates) {
    const bool is_cat = contains(dataset->cat, covariate);
    if (!is_cat && !contains(dataset->dense, covariate)) {
      throw UserError(format("--covariates %s: %s offers %s, %s", covariate.c_str(),
                             dataset->name.c_str(), join(dataset->cat, ", ").c_str(),
                             join(dataset->dense, ", ").c_str()));
    }
    std::vector<std::string>& columns = mapping.columns[is_cat ? "cat" : "dense"];
    if (contains(columns, covariate)) {
      throw UserError("--covariates: " + covariate + " is given twice");
    }
    columns.push_back(covariate);
  }
  return mapping;
}

}  // namespace alm::io
