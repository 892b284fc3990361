#include "engine/model/removal_pairs.h"

#include <algorithm>

#include "kernels/base/rng.h"
#include "kernels/ops.h"

namespace alm {

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

void RemovalPairs::reserve(const Csr& touches, int64_t clusters, int64_t absent) {
  size_t left = 0;  // touches of all sets: a journey without each of its clusters, and whole
  size_t longest = 0;
  for (int64_t journey = 0; journey < touches.rows(); ++journey) {
    const size_t i = static_cast<size_t>(journey);
    const size_t length = static_cast<size_t>(touches.begin[i + 1] - touches.begin[i]);
    left += length * std::min(length, static_cast<size_t>(clusters) + 1);
    longest = std::max(longest, length);
  }
  const size_t journeys = static_cast<size_t>(touches.rows());
  const size_t all = static_cast<size_t>(touches.total());
  const size_t most = all + journeys * static_cast<size_t>(absent);
  set_begin.reserve(1 + all + journeys);
  set_cluster.reserve(left);
  pair_begin.reserve(1 + journeys);
  cluster.reserve(most);
  set.reserve(most);
  present.reserve(most);
  weight.reserve(most);
  touched_.reserve(longest);
  drawn_.reserve(static_cast<size_t>(absent));
}

void RemovalPairs::fill(const Source& from, int64_t clusters, int64_t absent, uint64_t draw,
                        bool with_present) {
  reserve(from.touches, clusters, absent);
  set_begin.assign(1, 0);
  pair_begin.assign(1, 0);
  for (std::vector<int64_t>* column : {&set_cluster, &cluster, &set}) column->clear();
  present.clear();
  weight.clear();
  const auto add_pair = [&](int64_t of, bool is_present, float pair_weight) {
    cluster.push_back(of);
    set.push_back(static_cast<int64_t>(set_begin.size()) - 1);
    present.push_back(is_present ? 1.0f : 0.0f);
    weight.push_back(pair_weight);
  };
  const auto end_set = [&] { set_begin.push_back(static_cast<int64_t>(set_cluster.size())); };

  for (int64_t journey = 0; journey < from.touches.rows(); ++journey) {
    const size_t i = static_cast<size_t>(journey);
    const size_t begin = static_cast<size_t>(from.touches.begin[i]);
    const size_t end = static_cast<size_t>(from.touches.begin[i + 1]);
    touched_.assign(from.cluster.begin() + static_cast<int64_t>(begin),
                    from.cluster.begin() + static_cast<int64_t>(end));
    std::sort(touched_.begin(), touched_.end());
    touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());

    for (const int64_t k : touched_) {
      if (!with_present || touched_.size() == 1) break;
      bool observed = true;
      for (size_t touch = begin; touch < end; ++touch) {
        observed =
            observed && (from.cluster[touch] != k || from.mediator[touch] != kMediatorMissing);
      }
      if (!observed) continue;
      add_pair(k, true, from.weight[i]);
      for (size_t touch = begin; touch < end; ++touch) {
        if (from.cluster[touch] != k) set_cluster.push_back(from.cluster[touch]);
      }
      end_set();
    }
    draw_absent(touched_, clusters, touched_.empty() ? 0 : absent, draw, from.row[i], drawn_);
    if (!touched_.empty() && !drawn_.empty()) {
      const double share = static_cast<double>(drawn_.size()) /
                           static_cast<double>(clusters - static_cast<int64_t>(touched_.size()));
      for (const int64_t k : drawn_) {
        add_pair(k, false, static_cast<float>(from.weight[i] / share));
      }
      for (size_t touch = begin; touch < end; ++touch) set_cluster.push_back(from.cluster[touch]);
      end_set();
    }
    pair_begin.push_back(pairs());
  }
}

}  // namespace alm
