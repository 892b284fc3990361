// What a rank is at while it trains: seconds by phase for metrics.jsonl, ranges for a profiler,
// spans for --timeline.
#pragma once

#include <array>
#include <cstddef>
#include <numeric>
#include <optional>

#include "engine/train/timeline.h"
#include "kernels/base/clock.h"
#include "kernels/base/range.h"

namespace alm {

enum class Phase {
  wait,        // for the loader
  pack,        // of a batch for a GPU
  compute,     // forward and backward; on a GPU all of the host's part but packing
  reduce,      // sums over threads and ranks
  update,      // optimiser
  critic,      // its step
  ranks,       // calls that talk with other ranks, within the phases above
  validation,  // and what it leads to
  checkpoint,
};
inline constexpr std::array kPhaseNames = {"loader_wait", "pack",       "compute",
                                           "reduce",      "update",     "critic",
                                           "ranks",       "validation", "checkpoint"};
// Of a step; no two at a time.
inline constexpr size_t kStepPhases = static_cast<size_t>(Phase::critic) + 1;

// Seconds of this rank since the last restart().
class Phases {
 public:
  double seconds(Phase phase) const { return seconds_[static_cast<size_t>(phase)]; }
  void add(Phase phase, double seconds) { seconds_[static_cast<size_t>(phase)] += seconds; }
  // Of kStepPhases.
  double total() const {
    return std::accumulate(seconds_.begin(), seconds_.begin() + kStepPhases, 0.0);
  }
  void restart() { seconds_ = {}; }

  Timeline* timeline = nullptr;  // null: none is recorded

 private:
  std::array<double, kPhaseNames.size()> seconds_{};
};

// The rank is in a phase from the making of this, or from next(), to its end or the next. `name`:
// what ranges and timeline call it; null: as the phase.
class PhaseSpan {
 public:
  PhaseSpan(Phases& phases, Phase phase, const char* name = nullptr) : phases_(phases) {
    begin(phase, name);
  }
  ~PhaseSpan() { end(); }
  PhaseSpan(const PhaseSpan&) = delete;
  PhaseSpan& operator=(const PhaseSpan&) = delete;
  void next(Phase phase, const char* name = nullptr) {
    end();
    begin(phase, name);
  }

 private:
  void begin(Phase phase, const char* name) {
    phase_ = phase;
    name_ = name != nullptr ? name : kPhaseNames[static_cast<size_t>(phase)];
    range_.emplace(name_);
    began_ = now_seconds();
  }
  void end() {
    const double now = now_seconds();
    range_.reset();
    phases_.add(phase_, now - began_);
    if (phases_.timeline != nullptr) phases_.timeline->add(Lane::host, name_, began_, now);
  }

  Phases& phases_;
  Phase phase_{};
  const char* name_ = nullptr;
  std::optional<Range> range_;
  double began_ = 0;
};

}  // namespace alm
