#include "engine/model/removal_pairs.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/rng.h"
#include "kernels/ops.h"

namespace alm {
namespace {

// A cluster that training never met, or met in every journey, still has finite odds.
constexpr double kLeastShare = 1e-6;
constexpr double kMostShare = 0.999;

float logit_of(float share) {
  const double known = std::clamp(double{share}, kLeastShare, kMostShare);
  return static_cast<float>(std::log(known / (1 - known)));
}

}  // namespace

void draw_absent(std::span<const int64_t> touched, int64_t clusters, int64_t count, uint64_t draw,
                 int64_t row, std::vector<int64_t>& drawn) {
  drawn.clear();
  const int64_t absent = clusters - static_cast<int64_t>(touched.size());
  if (absent <= count) {
    for (int64_t rank = 0; rank < absent; ++rank) drawn.push_back(rank);
  } else {
    Rng rng(draw, Stream::removal, static_cast<uint64_t>(row));
    for (int64_t top = absent - count; top < absent; ++top) {
      const int64_t rank = static_cast<int64_t>(rng.below(static_cast<uint64_t>(top) + 1));
      const bool taken = std::find(drawn.begin(), drawn.end(), rank) != drawn.end();
      drawn.push_back(taken ? top : rank);
    }
  }
  // From ranks among the absent to clusters.
  for (int64_t& rank : drawn) {
    for (const int64_t cluster : touched) rank += cluster <= rank;
  }
}

// With room for so many pairs.
void RemovalPairs::clear(int64_t touches, int64_t pairs) {
  const size_t room = static_cast<size_t>(pairs);
  for (std::vector<int64_t>* of : {&journey, &cluster}) of->clear(), of->reserve(room);
  for (auto* of : {&log_left, &start, &present, &weight, &weight_of_presence}) {
    of->clear();
    of->reserve(room);
  }
  part_weight.clear();
  part_weight.reserve(2 * room);
  part_begin.reserve(room + 1);
  part_begin.assign(1, 0);
  pair_begin.assign(1, 0);
  touch_weight.assign(static_cast<size_t>(touches), 0.0f);
}

void RemovalPairs::add(const Pair& pair) {
  const bool is_present = pair.of_cluster > 0;
  journey.push_back(pair.journey);
  cluster.push_back(pair.cluster);
  part_weight.push_back(1);
  part_weight.push_back(-static_cast<float>(pair.of_cluster));
  part_begin.push_back(part_begin.back() + 2);
  log_left.push_back(std::log1p(static_cast<float>(pair.left)));
  start.push_back(pair.start);
  present.push_back(is_present ? 1.0f : 0.0f);
  weight.push_back(static_cast<float>(pair.weight));
  weight_of_presence.push_back(is_present ? weight.back() : 0.0f);
}

// Of the journey of touches [begin, end).
void RemovalPairs::find_touched(const Source& from, size_t begin, size_t end) {
  const std::span<const int64_t> clusters = from.cluster.subspan(begin, end - begin);
  touched_.assign(clusters.begin(), clusters.end());
  std::sort(touched_.begin(), touched_.end());
  touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
  of_touched_.assign(touched_.size(), {});
  const auto of = [&](size_t touch) -> Touched& {
    const auto at = std::lower_bound(touched_.begin(), touched_.end(), from.cluster[touch]);
    return of_touched_[static_cast<size_t>(at - touched_.begin())];
  };
  for (size_t touch = begin; touch < end; ++touch) {
    Touched& touched = of(touch);
    if (touched.touches == 0) touched.first = touch;
    ++touched.touches;
    touched.observed &= from.mediator[touch] != kMediatorMissing;
  }
  for (const Touched& touched : of_touched_) {
    touch_weight[touched.first] = static_cast<float>(touched.touches);
  }
}

void RemovalPairs::fill(const Source& from, int64_t absent, uint64_t draw, bool with_present) {
  clear(from.touches.total(), most(from.touches.rows(), from.touches.total(), absent));
  touched_.reserve(touch_weight.size());
  of_touched_.reserve(touch_weight.size());
  drawn_.reserve(static_cast<size_t>(absent));
  for (int64_t of = 0; of < from.touches.rows(); ++of) {
    const size_t i = static_cast<size_t>(of);
    const size_t begin = static_cast<size_t>(from.touches.begin[i]);
    const size_t end = static_cast<size_t>(from.touches.begin[i + 1]);
    const int64_t touches = static_cast<int64_t>(end - begin);
    find_touched(from, begin, end);
    const int64_t distinct = std::ssize(touched_);

    const double of_journey = double{from.weight[i]};
    const auto start_of = [&](int64_t k) {
      return from.touch_share.empty() ? 0 : logit_of(from.touch_share[static_cast<size_t>(k)]);
    };

    for (size_t at = 0; with_present && distinct > 1 && at < touched_.size(); ++at) {
      const int64_t k = touched_[at];
      const int64_t of_cluster = of_touched_[at].touches;
      if (!of_touched_[at].observed) continue;
      add({of, k, touches - of_cluster, of_cluster, start_of(k), of_journey});
    }
    draw_absent(touched_, from.clusters, touches > 0 ? absent : 0, draw, from.row[i], drawn_);
    const double share =
        static_cast<double>(drawn_.size()) / static_cast<double>(from.clusters - distinct);
    for (const int64_t k : drawn_) add({of, k, touches, 0, start_of(k), of_journey / share});
    pair_begin.push_back(pairs());
  }
}

void RemovalPairs::pad(int64_t journeys, int64_t touches, int64_t count) {
  clear(touches, count);
  for (int64_t of = 0; of < journeys; ++of) {
    const int64_t last = count * (of + 1) / journeys;
    while (pairs() < last) add({.journey = of});
    pair_begin.push_back(last);
  }
}

}  // namespace alm
