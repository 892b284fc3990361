// alm bench metrics: exact areas of scores that are drawn anew in every pass and kept nowhere.
#include <algorithm>

#include "engine/estimate/exact_ranking.h"
#include "kernels/base/clock.h"
#include "kernels/base/rng.h"
#include "kernels/base/text.h"
#include "launch/bench.h"
#include "launch/threads.h"

namespace alm {
namespace {

constexpr int64_t kBlock = 65536;  // scores

// Scores are uniform over the fp32 values of [0, 1); half of the rows are treated; the outcome has
// rate kBase, plus kSlope times the score where treated.
constexpr double kBase = 0.2;
constexpr double kSlope = 0.5;

void draw(int64_t row, ScoresByClass& out) {
  Rng rng(1, Stream::scores, static_cast<uint64_t>(row));
  const double u = rng.uniform();
  const float score = std::min(static_cast<float>(u), 0x1.fffffep-1f);
  const bool treated = (rng.bits() & 1u) != 0;
  const double rate = kBase + (treated ? kSlope * u : 0);
  const bool outcome = static_cast<double>(rng.bits()) * 0x1p-32 < rate;
  out.add(score, treated, outcome);
}

// Share of pairs of an outcome and none in which the outcome has the higher score. Outcomes have
// the density a + b s over the scores, a = kBase, b = kSlope / 2, others 1 - a - b s.
double expected_auc() {
  const double a = kBase, b = kSlope / 2, rate = a + b / 2;
  const double pairs = a * (1 - a) / 2 - a * b / 6 + b * (1 - a) / 3 - b * b / 8;
  return pairs / (rate * (1 - rate));
}

// The best share q gains kSlope (1 - q / 2) a row: an area of kSlope / 3.
double expected_auuc_sk() {
  const double treated = 0.5 * (kBase + kSlope / 2);
  const Step whole{
      .treated = 0.5, .treated_outcome = treated, .control = 0.5, .control_outcome = 0.5 * kBase};
  return *normalised(kSlope / 3, perfect_uplift_area(whole), whole.uplift(), 1);
}

}  // namespace

void bench_metrics(const Options& options, Communicator& world, BenchResults& results) {
  const int64_t rows = options.integer("rows");
  ThreadPool pool(threads_of_rank(options, world));
  const int64_t blocks = (rows + kBlock - 1) / kBlock;
  const int64_t rank = world.rank(), ranks = world.size();
  const ScoreSource source{.blocks = (blocks - rank + ranks - 1) / ranks,
                           .fill = [=](int64_t block, ScoresByClass& out) {
                             const int64_t first = (block * ranks + rank) * kBlock;
                             const int64_t end = std::min(rows, first + kBlock);
                             for (int64_t row = first; row < end; ++row) draw(row, out);
                           }};
  const Timer timer;
  const RankingAreas areas = exact_ranking(source, {.uplift = true}, pool, world);
  const double seconds = timer.seconds();
  const double sk = auuc_sk(areas.uplift).value_or(0);
  results.add(
      format(
          "metrics of %s scores, %lld ranks x %lld threads: %.1f s for %lld passes, %s scores/s "
          "a pass\n  auc %.9f exact (law %.6f; one pass: within %.2g)\n  auuc_sk %.9f exact (law "
          "%.6f), qini_sk %.9f; %s bins of 65,536 refined",
          with_commas(areas.scores).c_str(), static_cast<long long>(ranks),
          static_cast<long long>(pool.threads()), seconds, static_cast<long long>(areas.passes),
          human_count(static_cast<double>(areas.passes * rows) / seconds).c_str(), areas.auc,
          expected_auc(), areas.auc_bound, sk, expected_auuc_sk(),
          qini_sk(areas.uplift).value_or(0), with_commas(areas.refined_bins).c_str()),
      {{"rows", rows},
       {"ranks", ranks},
       {"threads", pool.threads()},
       {"seconds", seconds},
       {"passes", areas.passes},
       {"auc", areas.auc},
       {"auc_law", expected_auc()},
       {"auc_one_pass_bound", areas.auc_bound},
       {"auuc_sk", sk},
       {"auuc_sk_law", expected_auuc_sk()},
       {"qini_sk", qini_sk(areas.uplift).value_or(0)},
       {"refined_bins", areas.refined_bins}});
}

}  // namespace alm
