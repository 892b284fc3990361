// The user bootstrap that fits the nuisances again (--bootstrap-fits): each replicate weighs every
// user by a Poisson(1) number and does on them what the run did, from a seed of its own.
#pragma once

#include <optional>
#include <vector>

#include "engine/model/bundle.h"
#include "engine/train/train_options.h"
#include "engine/train/trainer.h"

namespace alm {

// What the run has settled and replicates keep. References outlive the call.
struct BootstrapInputs {
  const TrainJob& job;
  int64_t batch = 0;     // of every fit, resolved
  const Bundle& bundle;  // statistics, splits, options; its fits are not read
  const Model& model;
  const std::vector<std::vector<int64_t>>& fit_rows;  // [planned fits][blocks] training rows
  double validation_thinning = 1;
  double deadline = 0;
};

// Seed of a replicate: of its users' weights and, by the rules of plan_fits, of its fits.
uint64_t replicate_seed(uint64_t seed, int64_t replicate);

// COLLECTIVE. replicate_effects() of one replicate, the same on every rank and for any number of
// ranks (networks: under --deterministic); nullopt when asked to stop.
std::optional<std::vector<double>> bootstrap_replicate(const BootstrapInputs& inputs,
                                                       int64_t replicate);

}  // namespace alm
