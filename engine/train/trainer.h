// The main job: first pass, fits, back-door regression, checkpoints, estimates, run directory.
#pragma once

#include <memory>
#include <string>

#include "engine/comm/device_communicator.h"
#include "engine/estimate/coordinator.h"
#include "engine/model/compute.h"
#include "engine/train/train_options.h"
#include "io/log_reader.h"

namespace alm {

struct TrainJob {
  std::shared_ptr<const io::Log> log;
  std::string run_dir;
  TrainOptions options;
  io::Json config;   // what config.json will hold: options, versions, hosts
  std::string init;  // run directory whose parameters start the main fit; empty: fresh
  Compute& compute;
  Communicator& world;
  Compute* training = nullptr;    // for the steps of all fits; null: `compute`, as for all else
  Device* accelerator = nullptr;  // see FitInputs
  DeviceCommunicator* accelerators = nullptr;  // see FitInputs

  Compute& of_fits() const { return training != nullptr ? *training : compute; }
};

struct TrainResult {
  bool finished = false;  // false: stopped early with a good checkpoint (exit code 75)
  std::string digest;     // `parameters sha256` of the main fit, or of the tabular counts
  Estimates estimates;    // rank 0
};

// COLLECTIVE. Writes RUN/config.json, metrics.jsonl, checkpoints/, estimates.json, examples.json.
// With options.resume goes on from the newest good checkpoint, if there is one. UserError, before
// anything is written, when nobody would be trained or scored, when RUN holds something and resume
// is off (what a start that failed left there does not count), or when options or log differ from
// the checkpoint's.
TrainResult train(TrainJob job);

}  // namespace alm
