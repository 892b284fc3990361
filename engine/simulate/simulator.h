// Logs with known truth. A simulator makes any row of a log from (seed, row) alone, so any rank or
// thread makes any row and no state is kept.
//
// Every two consecutive rows share a user (user = row / 2) and are otherwise independent draws:
// per-user metrics and errors clustered by user have something to do, while the law of a row stays
// the closed form.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/simulate/level_b_law.h"
#include "engine/simulate/shape.h"
#include "io/journeys.h"
#include "kernels/base/thread_pool.h"

namespace alm {

// Thread-safe once made.
class Simulator {
 public:
  virtual ~Simulator() = default;
  virtual const io::LogSchema& schema() const = 0;
  // Share of the rows without an outcome that are kept; 1: every row drawn is in the log.
  virtual double keep_negatives() const { return 1; }
  // Appends the rows drawn as [first, first + count) to `out`, which holds only rows of this
  // simulator. Journeys::row is the number of the draw. With keep_negatives() < 1 fewer than
  // `count` are appended.
  virtual void append(int64_t first, int64_t count, io::Journeys& out) const = 0;
};

// The user of a draw, at every level.
inline uint64_t user_of_row(int64_t row) {
  return static_cast<uint64_t>(row) / 2;
}

// Method 8.1: an arm log of one context column of two values, four arms, reference arm 0.
std::unique_ptr<Simulator> make_level_a(uint64_t seed);
// Method 8.2. UserError when an option is out of its bounds.
std::unique_ptr<Simulator> make_level_b(const LevelBOptions& options, const LogShape& shape);

// How fast rows are made (nothing is written), for `alm bench synth`.
struct SimulationRate {
  int64_t rows = 0;
  int64_t touches = 0;
  double seconds = 0;
  double rows_per_second() const { return seconds > 0 ? static_cast<double>(rows) / seconds : 0; }
};
// Makes rows on all threads of the pool for at least `seconds`.
SimulationRate measure_simulation(const Simulator& simulator, ThreadPool& pool, double seconds);

}  // namespace alm
