#include "engine/estimate/arm_tabular.h"

#include <cstring>

#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

constexpr size_t kSums = 5;
enum Sum : size_t { kAll, kWithout, kWith, kOutcomeWithout, kOutcomeWith };

}  // namespace

TabularNuisances::TabularNuisances(int64_t arms, int64_t columns) : arms_(arms), columns_(columns) {
  ALM_CHECK(arms >= 1 && columns >= 0);
}

TabularNuisances::Counts& TabularNuisances::stratum(const std::vector<int64_t>& key) {
  const auto found = counts_.find(key);
  if (found != counts_.end()) return found->second;
  if (strata() >= kMaxStrata) {
    throw UserError(
        format("the /journey/cat columns cross to more than %lld strata, too many to count in: use "
               "--nuisance network, or import with fewer --covariates",
               static_cast<long long>(kMaxStrata)));
  }
  return counts_.emplace(key, Counts(static_cast<size_t>(arms_) * kSums)).first->second;
}

void TabularNuisances::add(std::span<const int64_t> cat, int64_t arm, uint8_t mediator,
                           double outcome, double weight) {
  ALM_CHECK(static_cast<int64_t>(cat.size()) == columns_ && arm >= 0 && arm < arms_);
  FixedSum* sums = &stratum({cat.begin(), cat.end()})[static_cast<size_t>(arm) * kSums];
  sums[kAll].add(weight);
  if (mediator > 1) return;
  sums[mediator ? kWith : kWithout].add(weight);
  sums[mediator ? kOutcomeWith : kOutcomeWithout].add(weight * outcome);
}

void TabularNuisances::merge(const TabularNuisances& other) {
  ALM_CHECK(other.arms_ == arms_ && other.columns_ == columns_);
  for (const auto& [key, from] : other.counts_) {
    Counts& to = stratum(key);
    for (size_t i = 0; i < to.size(); ++i) to[i].add(from[i]);
  }
}

std::vector<int64_t> TabularNuisances::pack() const {
  std::vector<int64_t> words;
  for (const auto& [key, counts] : counts_) {
    words.insert(words.end(), key.begin(), key.end());
    for (const FixedSum& sum : counts) {
      int64_t limbs[FixedSum::kLimbs];
      sum.to_limbs(limbs);
      words.insert(words.end(), limbs, limbs + FixedSum::kLimbs);
    }
  }
  return words;
}

void TabularNuisances::merge_packed(std::span<const int64_t> words) {
  const size_t sums = static_cast<size_t>(arms_) * kSums;
  const size_t columns = static_cast<size_t>(columns_);
  const size_t record = columns + sums * FixedSum::kLimbs;
  ALM_CHECK(words.size() % record == 0);
  for (size_t at = 0; at < words.size(); at += record) {
    const auto key = words.subspan(at, columns);
    Counts& counts = stratum({key.begin(), key.end()});
    for (size_t i = 0; i < sums; ++i) {
      FixedSum sum;
      sum.from_limbs(words.data() + at + columns + i * FixedSum::kLimbs);
      counts[i].add(sum);
    }
  }
}

void TabularNuisances::reduce(Communicator& comm, const char* what) {
  const auto mine = pack();
  std::vector<std::byte> all;
  std::vector<int64_t> sizes;
  comm.all_gather_v(std::as_bytes(std::span(mine)), all, sizes, what);
  std::vector<int64_t> words(all.size() / sizeof(int64_t));
  if (!all.empty()) std::memcpy(words.data(), all.data(), all.size());
  counts_.clear();
  merge_packed(words);
  finish();
}

TabularNuisances::Values TabularNuisances::values_of(const Counts& counts, const Values* fallback,
                                                     int64_t& empty) const {
  const size_t arms = static_cast<size_t>(arms_);
  Values values;
  values.mediator.resize(arms);
  values.outcome0.resize(arms);
  values.outcome1.resize(arms);
  values.propensity.resize(arms);
  double all = 0, mediated[2] = {0, 0}, outcome[2] = {0, 0};
  for (size_t a = 0; a < arms; ++a) {
    const FixedSum* sums = &counts[a * kSums];
    all += sums[kAll].value();
    for (size_t m = 0; m < 2; ++m) {
      mediated[m] += sums[kWithout + m].value();
      outcome[m] += sums[kOutcomeWithout + m].value();
    }
  }
  const double observed = mediated[0] + mediated[1];
  for (size_t a = 0; a < arms; ++a) {
    const FixedSum* sums = &counts[a * kSums];
    values.propensity[a] = all > 0 ? sums[kAll].value() / all : 0;
    const double weight[2] = {sums[kWithout].value(), sums[kWith].value()};
    const double both = weight[0] + weight[1];
    if (both > 0) {
      values.mediator[a] = weight[1] / both;
    } else {
      ++empty;
      values.mediator[a] = fallback ? fallback->mediator[a] : 0.5;
    }
    for (size_t m = 0; m < 2; ++m) {
      double& mu = (m ? values.outcome1 : values.outcome0)[a];
      if (weight[m] > 0) {
        mu = sums[kOutcomeWithout + m].value() / weight[m];
      } else if (mediated[m] > 0) {
        ++empty;
        mu = outcome[m] / mediated[m];
      } else if (fallback) {
        mu = (m ? fallback->outcome1 : fallback->outcome0)[a];
      } else {
        mu = observed > 0 ? (outcome[0] + outcome[1]) / observed : 0;
      }
    }
  }
  return values;
}

void TabularNuisances::finish() {
  Counts total(static_cast<size_t>(arms_) * kSums);
  for (const auto& [key, counts] : counts_) {
    for (size_t i = 0; i < total.size(); ++i) total[i].add(counts[i]);
  }
  int64_t ignored = 0;
  pooled_ = values_of(total, nullptr, ignored);
  values_.clear();
  empty_cells_ = 0;
  for (const auto& [key, counts] : counts_) {
    values_[key] = values_of(counts, &pooled_, empty_cells_);
  }
}

bool TabularNuisances::known(std::span<const int64_t> cat) const {
  return values_.contains({cat.begin(), cat.end()});
}

ArmNuisances TabularNuisances::at(std::span<const int64_t> cat) const {
  ALM_CHECK(!pooled_.propensity.empty(), "finish() comes before at()");
  const auto found = values_.find({cat.begin(), cat.end()});
  const Values& values = found == values_.end() ? pooled_ : found->second;
  return {values.mediator, values.outcome0, values.outcome1, values.propensity};
}

}  // namespace alm
