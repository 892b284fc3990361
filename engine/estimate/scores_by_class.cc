#include "engine/estimate/scores_by_class.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/base/check.h"

namespace alm {
namespace {

constexpr size_t kBlock = 65536;  // scores of a block of kept ones

}  // namespace

uint32_t ordered_bits(float score) {
  ALM_CHECK(!std::isnan(score));
  const uint32_t word = std::bit_cast<uint32_t>(score == 0 ? 0.0f : score);
  return word & 0x80000000u ? ~word : word | 0x80000000u;
}

void ScoresByClass::add(float score, bool treated, bool outcome, float row_weight) {
  const size_t c = (treated ? 2u : 0u) + (outcome ? 1u : 0u);
  if (row_weight != 1 && !weighted()) make_weighted();
  bits[c].push_back(ordered_bits(score));
  if (weighted()) weight[c].push_back(row_weight);
}

void ScoresByClass::append(ScoresByClass&& other) {
  if (size() == 0) {
    *this = std::move(other);
    return;
  }
  if (weighted() != other.weighted()) {
    make_weighted();
    other.make_weighted();
  }
  for (size_t c = 0; c < kClasses; ++c) {
    bits[c].insert(bits[c].end(), other.bits[c].begin(), other.bits[c].end());
    weight[c].insert(weight[c].end(), other.weight[c].begin(), other.weight[c].end());
  }
  other.clear();
}

void ScoresByClass::clear() {
  for (auto& of : bits) of.clear();
  for (auto& of : weight) of.clear();
  has_weights_ = false;
}

int64_t ScoresByClass::size() const {
  size_t all = 0;
  for (const auto& of : bits) all += of.size();
  return static_cast<int64_t>(all);
}

void ScoresByClass::make_weighted() {
  has_weights_ = true;
  for (size_t c = 0; c < kClasses; ++c) weight[c].resize(bits[c].size(), 1.0f);
}

ScoreSource kept_source(const ScoresByClass& scores) {
  struct Piece {
    size_t of;
    size_t first, end;
  };
  std::vector<Piece> pieces;
  for (size_t c = 0; c < ScoresByClass::kClasses; ++c) {
    const size_t all = scores.bits[c].size();
    for (size_t first = 0; first < all; first += kBlock) {
      pieces.push_back({c, first, std::min(all, first + kBlock)});
    }
  }
  ScoreSource source;
  source.blocks = static_cast<int64_t>(pieces.size());
  source.fill = [&scores, pieces](int64_t block, ScoresByClass& out) {
    const Piece& piece = pieces[static_cast<size_t>(block)];
    if (scores.weighted()) out.make_weighted();
    const auto copy = [&](const auto& from, auto& to) {
      const auto begin = from.begin() + static_cast<std::ptrdiff_t>(piece.first);
      to.insert(to.end(), begin, begin + static_cast<std::ptrdiff_t>(piece.end - piece.first));
    };
    copy(scores.bits[piece.of], out.bits[piece.of]);
    if (scores.weighted()) copy(scores.weight[piece.of], out.weight[piece.of]);
  };
  return source;
}

}  // namespace alm
