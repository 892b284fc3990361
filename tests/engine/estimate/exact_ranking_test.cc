#include "engine/estimate/exact_ranking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/estimate/auuc.h"
#include "kernels/base/rng.h"
#include "tests/engine/estimate/thread_world.h"

namespace alm {
namespace {

struct Row {
  float score;
  bool treated, outcome;
  float weight;
};

enum class Shape { spread, narrow, ties, both_signs };

std::vector<Row> rows_of(size_t n, Shape shape, uint64_t seed = 1) {
  std::vector<Row> rows;
  for (size_t i = 0; i < n; ++i) {
    Rng rng(seed, Stream::test, i);
    const double u = rng.uniform();
    double score = u;
    if (shape == Shape::narrow) score = 1 + std::floor(u * 3000) / 8388608;  // one bin
    if (shape == Shape::ties) score = std::floor(7 * u) / 7;
    if (shape == Shape::both_signs)
      score = std::ldexp(u - 0.5, static_cast<int>(rng.below(40)) - 30);
    const bool treated = rng.bernoulli(0.4);
    const bool outcome = rng.bernoulli(0.2 + (treated ? 0.5 : 0.1) * u);
    rows.push_back(
        {static_cast<float>(score), treated, outcome, static_cast<float>(1 + rng.below(3))});
  }
  return rows;
}

double auc_of_pairs(const std::vector<Row>& rows, bool weighted) {
  double good = 0, all = 0;
  for (const Row& one : rows) {
    for (const Row& zero : rows) {
      if (!one.outcome || zero.outcome) continue;
      const double weight = weighted ? double(one.weight) * double(zero.weight) : 1;
      all += weight;
      good += weight * (one.score > zero.score ? 1 : one.score == zero.score ? 0.5 : 0);
    }
  }
  return good / all;
}

// By sorting.
Areas areas_of(std::vector<Row> rows, bool weighted) {
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.score > b.score; });
  Areas areas;
  for (size_t i = 0; i < rows.size();) {
    Step step;
    const float score = rows[i].score;
    for (; i < rows.size() && rows[i].score == score; ++i) {
      const double weight = weighted ? static_cast<double>(rows[i].weight) : 1;
      (rows[i].treated ? step.treated : step.control) += weight;
      (rows[i].treated ? step.treated_outcome : step.control_outcome) +=
          rows[i].outcome ? weight : 0;
    }
    areas.add(step);
  }
  return areas;
}

ScoresByClass kept(const std::vector<Row>& rows, bool weighted, size_t first = 0, size_t step = 1) {
  ScoresByClass scores;
  for (size_t i = first; i < rows.size(); i += step) {
    scores.add(rows[i].score, rows[i].treated, rows[i].outcome, weighted ? rows[i].weight : 1.0f);
  }
  return scores;
}

// In blocks of `block` rows, as scores that are made anew in every pass are.
ScoreSource source_of(const std::vector<Row>& rows, bool weighted, int64_t rank, int64_t ranks,
                      size_t block) {
  ScoreSource source;
  const int64_t all = static_cast<int64_t>((rows.size() + block - 1) / block);
  source.blocks = (all - rank + ranks - 1) / ranks;
  source.fill = [=, &rows](int64_t at, ScoresByClass& out) {
    const size_t first = static_cast<size_t>(at * ranks + rank) * block;
    for (size_t i = first; i < std::min(rows.size(), first + block); ++i) {
      out.add(rows[i].score, rows[i].treated, rows[i].outcome, weighted ? rows[i].weight : 1.0f);
    }
  };
  return source;
}

TEST(ExactRanking, AucEqualsAllPairsAndAreasTheSortedRows) {
  for (const Shape shape : {Shape::spread, Shape::narrow, Shape::ties, Shape::both_signs}) {
    for (const bool weighted : {false, true}) {
      for (const size_t n : {2, 3, 701, 2003}) {
        auto rows = rows_of(n, shape, n);
        rows[0].outcome = rows[0].treated = true;
        rows[1].outcome = rows[1].treated = false;
        std::vector<UpliftRow> sorted;
        for (size_t i = 0; i < n; ++i) {
          sorted.push_back({.row = static_cast<int64_t>(i),
                            .user = i,
                            .score = rows[i].score,
                            .outcome = rows[i].outcome ? 1.0f : 0.0f,
                            .weight = weighted ? rows[i].weight : 1.0f,
                            .treated = rows[i].treated});
        }
        const UpliftResult wanted = uplift_areas(sorted);
        const double auc = auc_of_pairs(rows, weighted);
        const ScoresByClass scores = kept(rows, weighted);
        ThreadPool pool(3);
        const auto comm = make_self_communicator();
        for (const bool uplift : {false, true}) {
          const RankingAreas got = exact_ranking(
              kept_source(scores), {.weighted = weighted, .uplift = uplift}, pool, *comm);
          EXPECT_EQ(got.scores, static_cast<int64_t>(n));
          EXPECT_NEAR(got.auc, auc, 1e-12);
          EXPECT_LE(got.auc_bound, 0.5);
          if (!uplift) continue;
          if (!wanted.auuc_sk.value) continue;
          EXPECT_NEAR(*auuc_sk(got.uplift), *wanted.auuc_sk.value, 1e-11);
          EXPECT_NEAR(*qini_sk(got.uplift), *wanted.qini_sk.value, 1e-11);
        }
      }
    }
  }
}

// So many that bins are counted by value, in several sweeps for want of memory.
TEST(ExactRanking, IsTheSameOnAnyRanksThreadsBlocksAndMemory) {
  const auto rows = rows_of(530'000, Shape::narrow, 5);
  auto more = rows_of(200'000, Shape::spread, 6);
  more.insert(more.end(), rows.begin(), rows.end());
  for (const bool weighted : {false, true}) {
    const Areas wanted = areas_of(more, weighted);
    RankingAreas first;
    for (const auto& [ranks, threads, block, memory] : {std::tuple{1, 1, 10'000, 1 << 30},
                                                        {1, 4, 4'099, 5'000'000},
                                                        {2, 1, 9'973, 5'000'000},
                                                        {3, 2, 65'536, 1 << 30},
                                                        {3, 1, 800'000, 5'000'000}}) {
      ThreadWorld(ranks).run(
          [&, r = ranks, t = threads, b = block, m = memory](Communicator& comm) {
            ThreadPool pool(t);
            const RankingAreas got =
                exact_ranking(source_of(more, weighted, comm.rank(), r, static_cast<size_t>(b)),
                              {.weighted = weighted, .uplift = true, .memory = m}, pool, comm);
            if (comm.rank() != 0) return;
            if (first.scores == 0) {
              first = got;
              EXPECT_NEAR(got.uplift.uplift / wanted.uplift, 1, 1e-11);
              EXPECT_NEAR(got.uplift.qini / wanted.qini, 1, 1e-11);
              EXPECT_EQ(got.passes, 2);
            }
            EXPECT_EQ(got.auc, first.auc);
            EXPECT_EQ(got.auc_bound, first.auc_bound);
            EXPECT_EQ(got.uplift.uplift, first.uplift.uplift);
            EXPECT_EQ(got.uplift.qini, first.uplift.qini);
            EXPECT_EQ(got.uplift_bound, first.uplift_bound);
            EXPECT_EQ(got.total, first.total);
            if (r > 1) return;
            EXPECT_EQ(got.passes > 2, weighted && m < 1 << 30) << got.passes;
          });
    }
  }
}

TEST(ExactRanking, TheCertificateHoldsTheErrorOfTheFirstPass) {
  // All in one bin: by the first pass alone AUC is one half.
  const auto rows = rows_of(3000, Shape::narrow, 8);
  const ScoresByClass scores = kept(rows, false);
  ThreadPool pool(1);
  const auto comm = make_self_communicator();
  const RankingAreas got = exact_ranking(kept_source(scores), {.uplift = true}, pool, *comm);
  EXPECT_EQ(got.refined_bins, 1);
  EXPECT_NEAR(got.auc_bound, 0.5, 1e-12);
  EXPECT_GT(got.auc, 0.52);
  const double chord = 0.5 * got.uplift.at.uplift() * got.uplift.at.all();
  EXPECT_GT(std::fabs(got.uplift.uplift - chord), 0);
  EXPECT_LE(std::fabs(got.uplift.uplift - chord), got.uplift_bound);
}

TEST(ExactRanking, OfNothingOrOneClassHasNoAuc) {
  ThreadPool pool(2);
  const auto comm = make_self_communicator();
  const ScoresByClass none;
  const RankingAreas empty = exact_ranking(kept_source(none), {.uplift = true}, pool, *comm);
  EXPECT_EQ(empty.scores, 0);
  EXPECT_EQ(empty.passes, 1);
  EXPECT_TRUE(std::isnan(empty.auc));
  ScoresByClass ones;
  ones.add(0.5f, false, true);
  ones.add(0.7f, false, true);
  const RankingAreas one_class = exact_ranking(kept_source(ones), {}, pool, *comm);
  EXPECT_TRUE(std::isnan(one_class.auc));
  EXPECT_EQ(one_class.scores, 2);
}

TEST(ScoresByClass, WeightsAppearWhenOneIsNotOne) {
  ScoresByClass plain, weighted;
  plain.add(1, false, true);
  EXPECT_FALSE(plain.weighted());
  weighted.add(2, true, false);
  weighted.add(3, true, true, 2);
  EXPECT_TRUE(weighted.weighted());
  EXPECT_EQ(weighted.weight[2], std::vector<float>{1});
  plain.append(std::move(weighted));
  EXPECT_EQ(plain.size(), 3);
  EXPECT_EQ(plain.weight[1], std::vector<float>{1});
  EXPECT_EQ(plain.weight[3], std::vector<float>{2});
  plain.clear();
  EXPECT_FALSE(plain.weighted());
}

}  // namespace
}  // namespace alm
