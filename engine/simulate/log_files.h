// A simulated log as files. The file set is a pure function of (simulator, rows, rows per file,
// codec): file f holds the draws [f * rows_per_file, (f+1) * rows_per_file), whoever writes it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/simulate/simulator.h"
#include "io/log_writer.h"
#include "kernels/base/thread_pool.h"

namespace alm {

struct LogFilesPlan {
  std::string directory;
  int64_t rows = 0;  // drawn; with keep_negatives < 1 fewer are written
  int64_t rows_per_file = 1;
  io::Codec codec = io::Codec::deflate;
};

// Of the files one rank wrote. Fields add over ranks.
struct WrittenRows {
  int64_t files = 0;
  int64_t rows = 0;
  int64_t touches = 0;
  int64_t outcomes = 0;   // rows with Y = 1
  int64_t mediators = 0;  // touches with an observed mediator event
  int64_t bytes = 0;
};

// Writes the files f with f % ranks == rank, at least one file in all (a log of no rows is one
// empty file). Threads of the pool make rows ahead while one of them writes; memory holds a few
// blocks, or two files' kept rows when keep_negatives < 1 (a file's rows must be counted before it
// is begun). `progress` is told the draws done so far, from the calling thread. Not collective.
WrittenRows write_log_files(const Simulator& simulator, const LogFilesPlan& plan, int64_t rank,
                            int64_t ranks, ThreadPool& pool,
                            const std::function<void(int64_t drawn)>& progress);
// How many draws write_log_files makes on this rank.
int64_t draws_of_rank(const LogFilesPlan& plan, int64_t rank, int64_t ranks);

}  // namespace alm
