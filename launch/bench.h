// What the parts of `alm bench` share.
#pragma once

#include <string>

#include "engine/comm/communicator.h"
#include "io/json.h"
#include "launch/options.h"

namespace alm {

// The measurements of one `alm bench WHAT`: lines for people on stdout and, with --json, one JSON
// object a line (schema alm-bench/1). Ranks above 0 say and write nothing.
class BenchResults {
 public:
  BenchResults(const Options& options, const Communicator& world);
  // A line for people (empty: none) and what it says as JSON (null: nothing).
  void add(const std::string& line, io::Json measured);
  // The file is to hold this in place of the lines.
  void replace(const io::Json& document);
  void write() const;

 private:
  std::string what_;
  std::string path_;
  bool speaks_;
  std::string lines_;
};

// COLLECTIVE. Training steps on journeys kept in memory.
void bench_train(const Options& options, Communicator& world, BenchResults& results);
// Every operation on the sizes of the reference model.
void bench_op(const Options& options, Communicator& world, BenchResults& results);
// COLLECTIVE. The streams that read a log, beside what the disk and the codec alone can do.
void bench_loader(const Options& options, Communicator& world, BenchResults& results);
// COLLECTIVE. Exact AUC and uplift areas of scores that are drawn, not stored.
void bench_metrics(const Options& options, Communicator& world, BenchResults& results);
// Every pipeline of compression on the columns of a log; one thread, every rank the same.
void bench_codec(const Options& options, BenchResults& results);

}  // namespace alm
