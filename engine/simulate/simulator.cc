#include "engine/simulate/simulator.h"

#include <vector>

#include "kernels/base/clock.h"

namespace alm {

SimulationRate measure_simulation(const Simulator& simulator, ThreadPool& pool, double seconds) {
  constexpr int64_t kRows = 4096;
  std::vector<io::Journeys> blocks(static_cast<size_t>(pool.threads()));
  SimulationRate rate;
  const Timer timer;
  while (rate.seconds < seconds || rate.rows == 0) {
    pool.parallel_for(pool.threads(), [&](int64_t item, int64_t) {
      io::Journeys& block = blocks[static_cast<size_t>(item)];
      block.clear();
      simulator.append(rate.rows + item * kRows, kRows, block);
    });
    for (const io::Journeys& block : blocks) rate.touches += block.touches();
    rate.rows += pool.threads() * kRows;
    rate.seconds = timer.seconds();
  }
  return rate;
}

}  // namespace alm
