// The two passes of an exact ranking.
#include "engine/estimate/exact_ranking.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/estimate/bin_walk.h"
#include "engine/estimate/score_routing.h"
#include "kernels/base/check.h"

namespace alm {
namespace {

constexpr size_t kBins = 65536;   // by the high 16 bits
constexpr size_t kInner = 65536;  // by the low 16 bits
constexpr size_t kClasses = ScoresByClass::kClasses;
constexpr int64_t kBlocksAtOnce = 4;  // a thread

// Sum: of the first pass; Cell: of the second.
template <class Sum, class Cell>
class Ranking {
 public:
  Ranking(const ScoreSource& source, const RankingOptions& options, ThreadPool& pool,
          Communicator& comm)
      : source_(source),
        options_(options),
        pool_(pool),
        comm_(comm),
        threads_(pool.threads()),
        width_(options.uplift ? kClasses : 2),
        sums_(kBins * kClasses),
        counts_(kBins),
        above_(kBins),
        within_(kBins * 3) {}

  RankingAreas run() {
    count();
    plan();
    const int64_t ranks = comm_.size();
    const int64_t sweeps = (static_cast<int64_t>(slots_.size()) + ranks - 1) / ranks;
    for (int64_t sweep = 0; sweep < sweeps; ++sweep) refine(sweep);
    comm_.all_reduce_sum(std::span<double>(within_), "inner orders of bins");
    RankingAreas result = finish();
    result.passes = 1 + sweeps;
    return result;
  }

 private:
  // Bins [first, end) that one rank refines in one sweep.
  struct Slot {
    size_t first, end;
  };

  void count() {
    std::vector<std::vector<Sum>> sums(static_cast<size_t>(threads_));
    std::vector<std::vector<int64_t>> counts(sums.size());
    std::vector<ScoresByClass> parts(sums.size());
    for (size_t t = 0; t < sums.size(); ++t) {
      sums[t].resize(sums_.size());
      counts[t].resize(kBins);
    }
    pool_.parallel_for(source_.blocks, [&](int64_t block, int64_t thread) {
      const size_t t = static_cast<size_t>(thread);
      parts[t].clear();
      source_.fill(block, parts[t]);
      for (size_t c = 0; c < kClasses; ++c) {
        for (size_t i = 0; i < parts[t].bits[c].size(); ++i) {
          const size_t bin = parts[t].bits[c][i] >> 16;
          add_one(sums[t][bin * kClasses + c], weight_at(parts[t], c, i, options_.weighted));
          ++counts[t][bin];
        }
      }
    });
    for (size_t t = 0; t < sums.size(); ++t) {
      for (size_t at = 0; at < sums_.size(); ++at) add_to(sums_[at], sums[t][at]);
      for (size_t bin = 0; bin < kBins; ++bin) counts_[bin] += counts[t][bin];
    }
    comm_.all_reduce_sum(std::span<Sum>(sums_), "scores by bin");
    comm_.all_reduce_sum(std::span<int64_t>(counts_), "scores by bin");
    std::array<Sum, kClasses> above{};
    for (size_t bin = kBins; bin-- > 0;) {
      for (size_t c = 0; c < kClasses; ++c) {
        above_[bin][c] = value_of(above[c]);
        add_to(above[c], sums_[bin * kClasses + c]);
      }
    }
    for (size_t c = 0; c < kClasses; ++c) total_[c] = value_of(above[c]);
  }

  ByClass of_bin(size_t bin) const {
    ByClass result;
    for (size_t c = 0; c < kClasses; ++c) result[c] = value_of(sums_[bin * kClasses + c]);
    return result;
  }

  // Whether the order within the bin matters.
  bool refined(size_t bin) const {
    if (counts_[bin] < 2) return false;
    if (options_.uplift) return true;
    const ByClass weight = of_bin(bin);
    return weight[0] + weight[2] > 0 && weight[1] + weight[3] > 0;
  }
  int64_t dense_bytes() const { return static_cast<int64_t>(kInner * width_ * sizeof(Cell)); }
  bool dense(size_t bin) const {
    return counts_[bin] * static_cast<int64_t>(sizeof(BinEntry)) > dense_bytes();
  }
  int64_t bytes(size_t bin) const {
    return std::min(counts_[bin] * static_cast<int64_t>(sizeof(BinEntry)), dense_bytes());
  }

  // Shares the bins out: as many sweeps as memory asks for, in each a run of bins to every rank.
  void plan() {
    int64_t all = 0, largest = 0;
    for (size_t bin = 0; bin < kBins; ++bin) {
      if (!refined(bin)) continue;
      ALM_CHECK(options_.weighted || counts_[bin] <= std::numeric_limits<uint32_t>::max());
      all += bytes(bin);
      largest = std::max(largest, bytes(bin));
    }
    ALM_CHECK(largest <= options_.memory, "%lld bytes for one bin",
              static_cast<long long>(largest));
    const int64_t ranks = comm_.size();
    const int64_t sweeps = all / (options_.memory * ranks) + 1;
    const int64_t budget = std::min(options_.memory, all / (sweeps * ranks) + largest);
    int64_t held = 0;
    for (size_t bin = 0; bin < kBins; ++bin) {
      if (!refined(bin)) continue;
      if (slots_.empty() || held + bytes(bin) > budget) {
        slots_.push_back({bin, bin});
        held = 0;
      }
      held += bytes(bin);
      slots_.back().end = bin + 1;
    }
  }

  void refine(int64_t sweep) {
    const int64_t ranks = comm_.size();
    owner_.assign(kBins, -1);
    worker_.assign(kBins, -1);
    place_.assign(kBins, 0);
    filled_.assign(kBins, 0);
    size_t cells = 0, entries = 0;
    int64_t mine = 0;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const size_t slot = static_cast<size_t>(sweep * ranks + rank);
      if (slot >= slots_.size()) break;
      for (size_t bin = slots_[slot].first; bin < slots_[slot].end; ++bin) {
        if (!refined(bin)) continue;
        owner_[bin] = static_cast<int32_t>(rank);
        if (rank != comm_.rank()) continue;
        worker_[bin] = static_cast<int32_t>(mine++ % threads_ * 2 + dense(bin));
        place_[bin] = dense(bin) ? cells : entries;
        (dense(bin) ? cells : entries) +=
            dense(bin) ? kInner * width_ : static_cast<size_t>(counts_[bin]);
      }
    }
    cells_.assign(cells, Cell());
    entries_.assign(entries, BinEntry());

    const int64_t at_once = threads_ * kBlocksAtOnce;
    int64_t rounds = (source_.blocks + at_once - 1) / at_once;
    comm_.all_reduce_max(std::span<int64_t>(&rounds, 1), "rounds of the second pass");
    std::vector<ScoresByClass> parts(static_cast<size_t>(at_once));
    for (int64_t round = 0; round < rounds; ++round) {
      pool_.parallel_for(at_once, [&](int64_t part, int64_t) {
        ScoresByClass& to = parts[static_cast<size_t>(part)];
        to.clear();
        const int64_t block = round * at_once + part;
        if (block < source_.blocks) source_.fill(block, to);
      });
      if (ranks == 1) {
        place(parts);
      } else {
        place(routed_by_bin(parts, owner_, options_.weighted, pool_, comm_));
      }
    }
    pool_.parallel_for(static_cast<int64_t>(kBins), [&](int64_t bin, int64_t) {
      if (worker_[static_cast<size_t>(bin)] >= 0) walk(static_cast<size_t>(bin));
    });
  }

  // Every thread takes the scores of its own bins.
  void place(const std::vector<ScoresByClass>& parts) {
    pool_.parallel_for(threads_, [&](int64_t thread, int64_t) {
      for (const ScoresByClass& part : parts) {
        for (size_t c = 0; c < kClasses; ++c) {
          const size_t to = column_of(c, options_.uplift);
          for (size_t i = 0; i < part.bits[c].size(); ++i) {
            const uint32_t bits = part.bits[c][i];
            const size_t bin = bits >> 16;
            const int32_t worker = worker_[bin];
            if (worker >> 1 != thread) continue;
            const uint32_t low = bits & 0xffffu;
            const double weight = weight_at(part, c, i, options_.weighted);
            if ((worker & 1) != 0) {
              add_one(cells_[place_[bin] + low * width_ + to], weight);
            } else {
              entries_[place_[bin] + static_cast<size_t>(filled_[bin]++)] = {
                  low | static_cast<uint32_t>(c) << 16, static_cast<float>(weight)};
            }
          }
        }
      }
    });
  }

  void walk(size_t bin) {
    BinWalk walk(above_[bin]);
    if (dense(bin)) {
      for (size_t low = kInner; low-- > 0;) {
        const Cell* const cell = &cells_[place_[bin] + low * width_];
        ByClass group{};
        bool any = false;
        for (size_t c = 0; c < width_; ++c) {
          any = any || !(cell[c] == Cell());
          group[c] = value_of(cell[c]);
        }
        if (any) walk.add(group);
      }
    } else {
      ALM_CHECK(filled_[bin] == counts_[bin]);
      BinEntry* const begin = &entries_[place_[bin]];
      walk_entries<Sum>(begin, begin + counts_[bin], options_.uplift, walk);
    }
    const auto result = walk.result();
    std::copy(result.begin(), result.end(), within_.begin() + static_cast<std::ptrdiff_t>(bin * 3));
  }

  RankingAreas finish() const {
    RankingAreas result;
    result.total = total_;
    double pairs = 0, tied = 0;
    for (size_t bin = kBins; bin-- > 0;) {
      result.scores += counts_[bin];
      if (counts_[bin] == 0) continue;
      const ByClass weight = of_bin(bin);
      const double ones = weight[1] + weight[3], zeros = weight[0] + weight[2];
      std::array<double, 3> inner{within_[bin * 3], within_[bin * 3 + 1], within_[bin * 3 + 2]};
      if (refined(bin)) {
        ++result.refined_bins;
      } else {
        BinWalk walk(above_[bin]);
        walk.add(weight);
        inner = walk.result();
      }
      pairs += zeros * (above_[bin][1] + above_[bin][3]) + inner[0];
      tied += 0.5 * ones * zeros;
      if (!options_.uplift) continue;
      result.uplift.uplift += inner[1];
      result.uplift.qini += inner[2];
      result.uplift_bound += bin_error(step_of(above_[bin]), step_of(weight));
    }
    const double all_pairs = (total_[1] + total_[3]) * (total_[0] + total_[2]);
    result.auc = all_pairs > 0 ? pairs / all_pairs : NAN;
    result.auc_bound = all_pairs > 0 ? tied / all_pairs : 0;
    result.uplift.at = step_of(total_);
    return result;
  }

  const ScoreSource& source_;
  const RankingOptions& options_;
  ThreadPool& pool_;
  Communicator& comm_;
  int64_t threads_;
  size_t width_;
  std::vector<Sum> sums_;        // [kBins, kClasses]
  std::vector<int64_t> counts_;  // [kBins]
  std::vector<ByClass> above_;   // [kBins] weight of the bins above
  ByClass total_{};
  std::vector<double> within_;  // [kBins, 3] of the refined bins of this rank; in the end of all
  std::vector<Slot> slots_;     // slot s: sweep s / ranks, rank s % ranks
  // Of the sweep under way:
  std::vector<int32_t> owner_;   // [kBins] rank, -1: none
  std::vector<int32_t> worker_;  // [kBins] 2 * thread of this rank + (dense); -1: not its bin
  std::vector<size_t> place_;    // [kBins] first cell or entry
  std::vector<int64_t> filled_;  // [kBins] entries written
  std::vector<Cell> cells_;
  std::vector<BinEntry> entries_;
};

}  // namespace

RankingAreas exact_ranking(const ScoreSource& source, const RankingOptions& options,
                           ThreadPool& pool, Communicator& comm) {
  if (options.weighted) return Ranking<FixedSum, FixedSum>(source, options, pool, comm).run();
  return Ranking<int64_t, uint32_t>(source, options, pool, comm).run();
}

}  // namespace alm
