#include "engine/estimate/critic_check.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/estimate/critic_sums.h"
#include "engine/estimate/critic_weights.h"
#include "engine/estimate/thin_data.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

// Share of the contexts from which a hole is named, and names a sentence has room for.
constexpr double kNamedHole = 0.05;
constexpr size_t kNamesShown = 5;

// A run of the gathered journeys that are weighted together, and the fit that scores them.
struct Group {
  std::span<const CriticJourney> journeys;
  const ModelWeights* weights = nullptr;
  std::vector<int64_t> clusters;  // touched by kLeastTouches journeys, ascending
  std::vector<double> base;       // weighted share of the journeys that touch them
  // Of journey r: its places in `clusters` are [begin[r], begin[r + 1]) of `places`.
  std::vector<size_t> begin, places;
};

void find_clusters(Group& group) {
  std::map<int64_t, std::pair<int64_t, double>> touched;
  double weight = 0;
  for (const CriticJourney& journey : group.journeys) {
    weight += journey.weight;
    for (const int64_t cluster : journey.clusters) {
      auto& [count, sum] = touched[cluster];
      ++count;
      sum += journey.weight;
    }
  }
  for (const auto& [cluster, of] : touched) {
    if (of.first < kLeastTouches) continue;
    group.clusters.push_back(cluster);
    group.base.push_back(of.second / weight);
  }
  group.begin.assign(1, 0);
  for (const CriticJourney& journey : group.journeys) {
    for (const int64_t cluster : journey.clusters) {
      const auto found = std::ranges::lower_bound(group.clusters, cluster);
      if (found == group.clusters.end() || *found != cluster) continue;
      group.places.push_back(static_cast<size_t>(found - group.clusters.begin()));
    }
    group.begin.push_back(group.places.size());
  }
}

// Whole groups; what is left over is dropped, where it is not all there is.
std::vector<Group> groups_of(std::span<const CriticJourney> journeys, const ModelWeights& weights) {
  std::vector<Group> groups;
  const int64_t count = std::ssize(journeys);
  if (count < kLeastCriticGroup) return groups;
  const int64_t size = std::min(count, kCriticGroupOfEstimates);
  for (int64_t first = 0; first + size <= count; first += size) {
    Group& group = groups.emplace_back();
    group.journeys = journeys.subspan(static_cast<size_t>(first), static_cast<size_t>(size));
    group.weights = &weights;
    find_clusters(group);
  }
  return groups;
}

// What one thread needs beside its sums.
struct RowScratch {
  CriticWeights weights;
  std::vector<double> kept, survival, shown;
};

double average(const std::vector<double>& weights, const std::vector<double>& values) {
  double sum = 0;
  for (size_t r = 0; r < weights.size(); ++r) sum += weights[r] * values[r];
  return sum;
}

void add_row(const AlmMta& model, const Group& group, int64_t row, RowScratch& scratch,
             CriticSums& sums) {
  const CriticJourney& own = group.journeys[static_cast<size_t>(row)];
  if (!scratch.weights.fill(group.journeys, row)) return;
  const std::vector<double>& all = scratch.weights.all;
  scratch.survival.resize(group.journeys.size());
  for (size_t r = 0; r < group.journeys.size(); ++r) {
    scratch.survival[r] = model.survival_of_pair(*group.weights, group.journeys[r].touches.data(),
                                                 own.context.data());
  }
  CriticRow result;
  result.weight = own.weight;
  result.truth = own.truth;
  result.ess = scratch.weights.ess;
  const auto of = [&](LambdaBy way) -> double& { return result.lambda[static_cast<size_t>(way)]; };
  of(LambdaBy::second_stage) = own.second_stage;
  of(LambdaBy::uniform) = average(scratch.weights.uniform, scratch.survival);
  of(LambdaBy::all) = of(LambdaBy::critic) = average(all, scratch.survival);
  const auto of_largest = [&](int64_t k, double& mass) {
    mass = keep_largest(all, k, scratch.kept);
    return average(scratch.kept, scratch.survival);
  };
  of(LambdaBy::top16) = of_largest(16, result.mass16);
  of(LambdaBy::top64) = of_largest(64, result.mass64);
  const int64_t top_k = model.options().critic_top_k;
  if (top_k > 0) of(LambdaBy::critic) = of_largest(top_k, result.captured);
  sums.add(result);

  scratch.shown.assign(group.clusters.size(), 0);
  for (size_t r = 0; r < group.journeys.size(); ++r) {
    for (size_t at = group.begin[r]; at < group.begin[r + 1]; ++at) {
      scratch.shown[group.places[at]] += all[r];
    }
  }
  for (size_t at = 0; at < group.clusters.size(); ++at) {
    sums.add_cluster(group.clusters[at], scratch.shown[at], group.base[at], own.weight);
  }
}

// Every rank takes every so many rows; all have all journeys.
CriticSums sums_of(const EstimateInputs& inputs, const AlmMta& model,
                   const std::vector<Group>& groups) {
  const int64_t threads = inputs.compute.threads();
  std::vector<CriticSums> sums(static_cast<size_t>(threads),
                               CriticSums(model.stats().schema.clusters));
  std::vector<RowScratch> scratch(static_cast<size_t>(threads));
  for (const Group& group : groups) {
    const int64_t ranks = inputs.world.size();
    const int64_t rows = std::ssize(group.journeys);
    inputs.compute.pool().parallel_for((rows + ranks - 1) / ranks, [&](int64_t at, int64_t thread) {
      const int64_t row = at * ranks + inputs.world.rank();
      const size_t of = static_cast<size_t>(thread);
      if (row < rows) add_row(model, group, row, scratch[of], sums[of]);
    });
  }
  for (size_t thread = 1; thread < sums.size(); ++thread) sums[0].merge(sums[thread]);
  sums[0].reduce(inputs.world);
  return std::move(sums[0]);
}

// The list of named holes, widest first, and its sentence.
io::Json holes_of(const CriticSums& sums, const io::LogSchema& schema, std::string& sentence) {
  std::vector<std::pair<double, int64_t>> found;
  for (int64_t cluster = 0; cluster < schema.clusters; ++cluster) {
    const double share = sums.hole_share(cluster);
    if (share >= kNamedHole) found.emplace_back(-share, cluster);
  }
  std::ranges::sort(found);
  io::Json holes = io::Json::array();
  std::string names;
  for (const auto& [share, cluster] : found) {
    holes.push_back(
        {{"cluster", cluster}, {"name", schema.cluster_name(cluster)}, {"share", -share}});
    if (holes.size() > kNamesShown) continue;
    names += format("%s%s (%.0f %%)", names.empty() ? "" : ", ",
                    schema.cluster_name(cluster).c_str(), -100 * share);
  }
  if (holes.size() > kNamesShown) names += ", ...";
  sentence.clear();
  if (!found.empty()) {
    sentence = format(
        "%zu clusters are hardly ever shown to some kinds of users (share of the journeys in such "
        "a hole): %s; what exposing those users would do is extrapolated",
        found.size(), names.c_str());
  }
  return holes;
}

void put_nothing(io::Json& json, const std::string& why_no_lambda,
                 const std::string& why_no_holes) {
  json["identification"]["lambda"] = nullptr;
  json["identification"]["lambda_why"] = why_no_lambda;
  json["identification"]["overlap"]["holes"] = nullptr;
  json["identification"]["overlap"]["holes_why"] = why_no_holes;
}

void put_no_critic(io::Json& json, const AlmMta& model) {
  const std::string takes_critic = "not looked for; that takes the critic";
  if (!model.general() && !model.additive()) {
    return put_nothing(json, "the model has no critic (--critic off)",
                       takes_critic + " (--critic off)");
  }
  const std::string who = model.general() ? "the general head" : "a continuous outcome";
  put_nothing(json, who + " has no Lambda to check",
              takes_critic + ", which is fitted to check Lambda, and " + who +
                  " has none. These effects average over no other users' exposures, but rest on "
                  "journeys that are alike save for the touch: that the log has such is assumed");
}

}  // namespace

void put_critic(const EstimateInputs& inputs, const AlmMta& model,
                std::vector<std::vector<CriticJourney>> mine, io::Json& json) {
  if (model.critic() == nullptr) {
    return put_no_critic(json, model);
  }
  std::vector<std::vector<CriticJourney>> journeys;  // [folds]
  std::vector<Group> groups;
  for (std::vector<CriticJourney>& fold : mine) {
    journeys.push_back(gather(std::move(fold), inputs.world));
  }
  for (size_t fold = 0; fold < journeys.size(); ++fold) {
    const std::string fit = inputs.bundle.scoring_fit(static_cast<int64_t>(fold));
    for (Group& group : groups_of(journeys[fold], inputs.bundle.fits.at(fit))) {
      groups.push_back(std::move(group));
    }
  }
  const CriticSums sums = sums_of(inputs, model, groups);
  if (sums.journeys() == 0) {
    const std::string why = format("fewer than %lld scored journeys with a weight",
                                   static_cast<long long>(kLeastCriticGroup));
    return put_nothing(json, why, why);
  }
  io::Json lambda = sums.lambda();
  lambda["groups"] = groups.size();
  lambda["group_size"] = groups.front().journeys.size();
  const int64_t top_k = model.options().critic_top_k;
  lambda["weights"] = top_k > 0 ? format("top %lld", static_cast<long long>(top_k)) : "all";
  io::Json& identification = json["identification"];
  identification["lambda"] = lambda;
  if (!(sums.disagreement() <= kLambdaApart)) {
    identification["warnings"].push_back(
        format("Lambda by the second stage and by the critic's weights are %.3f apart (root mean "
               "square; at most %.2f is usual): every `do` is as uncertain by that share of it",
               sums.disagreement(), kLambdaApart));
  }
  std::string sentence;
  identification["overlap"]["holes"] = holes_of(sums, model.stats().schema, sentence);
  if (!sentence.empty()) identification["warnings"].push_back(sentence);
  const io::Json truth = sums.against_truth();
  if (!truth.is_null()) json["truth"]["lambda"] = truth;
}

}  // namespace alm
