// usage: critic_table RUN LOG [SEED [CONFOUNDING]]
// The critic of a run on a level B log (K of the log, the rest as synth's defaults) against the
// ideal density ratio p(T|x) / p(T), on held-out journeys: correlation of the normalised weights,
// and bias and RMSE of Lambda(x) = E[exp(-h(T', x)) | x] marginalised with either critic's weights,
// exp(-h) exact, so that nothing but the weights errs. Prints Markdown.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "engine/estimate/critic_weights.h"
#include "engine/model/scan.h"
#include "engine/simulate/level_b_law.h"
#include "engine/train/run_dir.h"
#include "tests/reference/level_b_ratio.h"

namespace alm {
namespace {

struct Held {
  CriticJourney journey;
  reference::LevelBRatio::Context context;
  std::vector<int64_t> touches;
  double p = 0;  // p(T)
};

// The held-out journeys a run's check draws, in its order, with what is true of each.
std::vector<Held> held_out(const std::string& run, const std::string& log_dir,
                           const reference::LevelBRatio& ratio) {
  const std::shared_ptr<const io::Log> log = io::Log::open({log_dir}, {});
  const Bundle bundle = newest_bundle(run, "RUN", true);
  const std::unique_ptr<Model> owner = bundle.make_model();
  const AlmMta& model = dynamic_cast<const AlmMta&>(*owner);
  if (model.critic() == nullptr) throw UserError(run + " has no critic");
  Compute compute(make_cpu_device("auto"), 1);
  const std::unique_ptr<Communicator> world = make_self_communicator();
  const ScoredUsers users = scored_users(bundle, *log);
  CriticSample sample(model, bundle.fits.at(kMainFit), compute,
                      critic_share(users, log->rows(), bundle.options));
  std::map<int64_t, std::pair<std::array<double, 2>, std::vector<int64_t>>> rows;
  scan_log(log, compute, *world, users.filter, io::ColumnSet::model(), "",
           [&](const io::Journeys& journeys, int64_t thread) {
             sample.add(journeys, thread);
             for (int64_t row = 0; row < journeys.size(); ++row) {
               const size_t i = static_cast<size_t>(row);
               const float* const x = &journeys.dense[i * static_cast<size_t>(log->schema().dense)];
               const auto begin = journeys.cluster.begin();
               rows[journeys.row[i]] = {
                   {double{x[0]}, double{x[1]}},
                   {begin + journeys.touch_begin[i], begin + journeys.touch_begin[i + 1]}};
             }
           });
  std::vector<Held> result;
  for (CriticJourney& journey : gather(sample.take(), *world)) {
    const auto& [x, touches] = rows.at(journey.row);
    result.push_back({std::move(journey), ratio.at(x), touches, ratio.p_touches(touches)});
  }
  return result;
}

std::vector<double> ideal_weights(std::span<const Held> group, size_t row) {
  std::vector<double> weights;
  double sum = 0;
  for (const Held& other : group) {
    const bool own = other.journey.user == group[row].journey.user;
    weights.push_back(
        own ? 0
            : other.journey.weight *
                  reference::LevelBRatio::p_touches(group[row].context, other.touches) / other.p);
    sum += weights.back();
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

struct Errors {
  double sum = 0, squares = 0, mass = 0, ess = 0;
};

constexpr int64_t kTops[] = {0, 16, 64};  // 0: all

// One line of the table: both critics, all ways, groups of `size`; the correlations are added.
void print_line(const reference::LevelBRatio& ratio, std::span<const Held> held, int64_t size,
                std::vector<double>& correlations) {
  Errors errors[2][3], uniform;
  double rows = 0;
  std::vector<double> kept;
  for (size_t first = 0; first + static_cast<size_t>(size) <= held.size();
       first += static_cast<size_t>(size)) {
    const std::span<const Held> group = held.subspan(first, static_cast<size_t>(size));
    std::vector<CriticJourney> journeys;
    for (const Held& of : group) journeys.push_back(of.journey);
    CriticWeights fitted;
    for (size_t i = 0; i < group.size(); i += 4) {
      fitted.fill(journeys, static_cast<int64_t>(i));
      const std::vector<double> ideal = ideal_weights(group, i);
      correlations.push_back(reference::pearson(fitted.all, ideal));
      std::vector<double> h;
      for (const Held& other : group) {
        h.push_back(ratio.h(group[i].context, other.touches));
      }
      const double truth = group[i].context.lambda();
      const auto add = [&](const std::vector<double>& weights, double mass, Errors& to) {
        double estimate = 0, squares = 0;
        for (size_t r = 0; r < h.size(); ++r) {
          estimate += weights[r] * h[r];
          squares += weights[r] * weights[r];
        }
        to.sum += estimate - truth;
        to.squares += (estimate - truth) * (estimate - truth);
        to.mass += mass;
        to.ess += 1 / squares;
      };
      ++rows;
      add(fitted.uniform, 1, uniform);
      for (size_t critic = 0; critic < 2; ++critic) {
        const std::vector<double>& all = critic == 0 ? fitted.all : ideal;
        for (size_t way = 0; way < 3; ++way) {
          const double mass = kTops[way] == 0 ? 1 : keep_largest(all, kTops[way], kept);
          add(kTops[way] == 0 ? all : kept, mass, errors[critic][way]);
        }
      }
    }
  }
  if (rows == 0) return;
  for (size_t critic = 0; critic < 2; ++critic) {
    std::printf("| %lld | %s ", static_cast<long long>(size), critic == 0 ? "learned" : "ideal");
    const auto print = [&](const Errors& of) {
      std::printf("| %+.4f / %.4f ", of.sum / rows, std::sqrt(of.squares / rows));
    };
    print(uniform);
    for (const size_t way : {size_t{1}, size_t{2}, size_t{0}}) print(errors[critic][way]);
    std::printf("| %.2f / %.2f | %.2f |\n", errors[critic][1].mass / rows,
                errors[critic][2].mass / rows,
                errors[critic][0].ess / rows / static_cast<double>(size));
  }
}

void run(int count, char** arguments) {
  LevelBOptions options;
  if (count > 3) options.seed = std::strtoull(arguments[3], nullptr, 10);
  if (count > 4) options.confounding = std::strtod(arguments[4], nullptr);
  options.clusters = io::Log::open({arguments[2]}, {})->schema().clusters;
  const LevelBClusters of = LevelBLaw(options).clusters();
  const reference::LevelBRatio ratio(
      {of.popularity, of.taste0, of.taste1, of.affinity, of.intercept, of.potency},
      options.confounding, 4000);
  const std::vector<Held> held = held_out(arguments[1], arguments[2], ratio);
  std::printf(
      "| group | critic | uniform | top 16 | top 64 | all | mass in top 16 / 64 | ESS share |\n"
      "|---|---|---|---|---|---|---|---|\n");
  for (const int64_t size : {256, 1024, 4096}) {
    std::vector<double> correlations;
    print_line(ratio, held, size, correlations);
    if (size != 1024 || correlations.empty()) continue;
    std::ranges::sort(correlations);
    const auto at = [&](double share) {
      return correlations[static_cast<size_t>(share *
                                              static_cast<double>(correlations.size() - 1))];
    };
    std::fprintf(
        stderr,
        "pearson of the normalised weights in groups of 1024, %zu rows: median %.3f, 10 %% "
        "below %.3f, 10 %% above %.3f\n",
        correlations.size(), at(0.5), at(0.1), at(0.9));
  }
}

}  // namespace
}  // namespace alm

int main(int count, char** arguments) {
  if (count < 3) {
    std::fprintf(stderr, "usage: critic_table RUN LOG [SEED [CONFOUNDING]]\n");
    return 1;
  }
  try {
    alm::run(count, arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
