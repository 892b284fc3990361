#include "engine/estimate/edited_mediators.h"

namespace alm {

void EditedMediators::start(std::span<const float> context, int64_t journeys, int64_t thread) {
  context_ = context;
  journeys_ = journeys;
  thread_ = thread;
  edited_.clear();
  from_.clear();
  logits_.clear();
}

void EditedMediators::run() {
  if (edited_.size() > 0) {
    Inputs& inputs = compute_.thread(thread_).inputs;
    inputs.fill(edited_, model_.stats(), model_.options(), model_.positions());
    const Pass pass = compute_.pass(thread_, weights_.dense.data(), nullptr);
    const int64_t width = model_.options().context_width;
    const Matrix<float> context = pass.memory.matrix(edited_.size(), width);
    pass.ops.gather_rows(
        pass.queue, {.table = {context_.data(), journeys_, width}, .rows = from_, .out = context});
    const std::span<const float> logits =
        flat(model_.mediator_logit(pass, inputs, weights_, context));
    logits_.insert(logits_.end(), logits.begin(), logits.end());
  }
  edited_.clear();
  from_.clear();
}

}  // namespace alm
