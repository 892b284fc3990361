#include "engine/estimate/edited_mediators.h"

#include <algorithm>

namespace alm {
namespace {

void copy(std::span<const float> from, std::vector<float>& to) {
  to.assign(from.begin(), from.end());
}

}  // namespace

void EncodedJourneys::assign(const AlmMta::Scores& scores) {
  copy(flat(scores.context), context);
  copy(flat(scores.touches.qkv), qkv);
  const std::span<const float> logits = flat(scores.mediator_logit);
  logit.assign(logits.begin(), logits.end());
}

void EditedMediators::start(const io::Journeys& journeys, const EncodedJourneys& encoded,
                            int64_t thread) {
  journeys_ = &journeys;
  encoded_ = &encoded;
  thread_ = thread;
  logits_.clear();
  earlier_.assign(static_cast<size_t>(journeys.touches()), 0);
  for (int64_t journey = 0; journey < journeys.size(); ++journey) {
    const auto begin = journeys.cluster.begin() + touch_begin(journey);
    for (int64_t touch = touch_begin(journey); touch < touch_begin(journey + 1); ++touch) {
      const auto at = journeys.cluster.begin() + touch;
      earlier_[static_cast<size_t>(touch)] = std::count(begin, at, *at);
    }
  }
  begin_chunk(0);
}

void EditedMediators::begin_chunk(int64_t journey) {
  first_ = last_ = journey;
  placed_.clear();
  for (auto* of : {&older_, &newest_, &row_, &asked_, &asked_row_, &cluster_, &place_}) of->clear();
  edit_begin_.assign(1, 0);
  asked_begin_.assign(1, 0);
}

void EditedMediators::reach(int64_t journey) {
  if (row_.empty()) begin_chunk(journey);
  for (; last_ <= journey; ++last_) asked_begin_.push_back(asked_begin_.back());
  newest_.resize(static_cast<size_t>(touch_begin(last_) - touch_begin(first_)), -1);
}

int64_t EditedMediators::variant(const PlacedTouch& placed) {
  int64_t& newest = newest_[static_cast<size_t>(placed.touch - touch_begin(first_))];
  for (int64_t at = newest; at >= 0; at = older_[static_cast<size_t>(at)]) {
    const PlacedTouch& known = placed_[static_cast<size_t>(at)];
    if (known.position == placed.position && known.earlier == placed.earlier) return at;
  }
  placed_.push_back(placed);
  older_.push_back(newest);
  return newest = std::ssize(placed_) - 1;
}

void EditedMediators::add(int64_t journey, std::span<const int64_t> removed) {
  const int64_t begin = touch_begin(journey), end = touch_begin(journey + 1);
  const auto base = encoded_->logit.begin();
  logits_.insert(logits_.end(), base + begin, base + removed.front());
  const int64_t left = end - begin - std::ssize(removed);
  const int64_t after = left - (removed.front() - begin);
  if (after == 0) return;
  if (std::ssize(row_) + left > kTouches) run();
  reach(journey);
  for (int64_t touch = begin; touch < removed.front(); ++touch) {
    row_.push_back(touch - touch_begin(first_));
  }
  size_t gone = 0;
  for (int64_t touch = removed.front(); touch < end; ++touch) {
    if (gone < removed.size() && removed[gone] == touch) {
      ++gone;
      continue;
    }
    const uint32_t cluster = journeys_->cluster[static_cast<size_t>(touch)];
    int64_t earlier = earlier_[static_cast<size_t>(touch)];
    for (const int64_t other : removed.first(gone)) {
      earlier -= journeys_->cluster[static_cast<size_t>(other)] == cluster;
    }
    asked_.push_back(std::ssize(row_));
    asked_row_.push_back(
        variant({journey, touch, touch - begin - static_cast<int64_t>(gone), earlier}));
    row_.push_back(-1 - asked_row_.back());
    cluster_.push_back(cluster);
    place_.push_back(std::ssize(logits_));
    logits_.push_back(0);
  }
  edit_begin_.push_back(std::ssize(row_));
  asked_begin_.back() += after;
}

const std::vector<double>& EditedMediators::finish() {
  run();
  return logits_;
}

AlmMta::TouchRows EditedMediators::encode_variants(const Pass& pass) const {
  Inputs& inputs = compute_.thread(thread_).inputs;
  inputs.fill_touches(*journeys_, placed_, model_.stats(), model_.options(), model_.positions());
  return model_.touch_rows(pass, inputs, weights_);
}

void EditedMediators::run() {
  if (row_.empty()) return;
  for (int64_t& row : row_) row = row < 0 ? std::ssize(newest_) - 1 - row : row;
  if (!head_) {
    head_ = model_.edited_head(compute_.pass(thread_, weights_.dense.data(), nullptr));
  }
  const Pass pass = compute_.pass(thread_, weights_.dense.data(), nullptr);
  const AlmMta::TouchRows variants = encode_variants(pass);
  // Of the touches of the chunk's journeys, then of the variants.
  const Matrix<float> qkv =
      pass.memory.matrix(std::ssize(newest_) + variants.qkv.rows, variants.qkv.cols);
  std::copy_n(encoded_->qkv.data() + touch_begin(first_) * qkv.cols, std::ssize(newest_) * qkv.cols,
              qkv.data);
  std::ranges::copy(flat(variants.qkv), qkv.row(std::ssize(newest_)));
  const int64_t width = model_.options().context_width;
  const Matrix<float> logits =
      model_.edited_logit(pass, *head_,
                          {.encoded = variants.encoded,
                           .qkv = qkv,
                           .edits = {edit_begin_},
                           .row = row_,
                           .journeys = {asked_begin_},
                           .asked = asked_,
                           .asked_row = asked_row_,
                           .cluster = cluster_},
                          {encoded_->context.data() + first_ * width, last_ - first_, width});
  for (size_t at = 0; at < place_.size(); ++at) {
    logits_[static_cast<size_t>(place_[at])] = double{logits.data[at]};
  }
  row_.clear();
}

}  // namespace alm
