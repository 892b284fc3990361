#include "launch/threads.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <string>

namespace alm {
namespace {

constexpr int kMaxCpus = 4096;

// One character a processor: '1' where this process may run.
std::string allowed_cpus() {
  cpu_set_t* set = CPU_ALLOC(kMaxCpus);
  const size_t bytes = CPU_ALLOC_SIZE(kMaxCpus);
  CPU_ZERO_S(bytes, set);
  std::string allowed;
  if (set != nullptr && sched_getaffinity(0, bytes, set) == 0) {
    for (int cpu = 0; cpu < kMaxCpus; ++cpu) allowed += CPU_ISSET_S(cpu, bytes, set) ? '1' : '0';
  }
  CPU_FREE(set);
  return allowed;
}

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

std::vector<RankPlace> places_of_ranks(Communicator& world) {
  std::vector<RankPlace> places;
  for (const std::string& of :
       world.all_gather_strings(host_name() + "/" + allowed_cpus(), "cores of every rank")) {
    const size_t slash = of.rfind('/');
    places.push_back({of.substr(0, slash), of.substr(slash + 1)});
  }
  return places;
}

int64_t threads_of_rank(const Options& options, Communicator& world) {
  const std::vector<RankPlace> places = places_of_ranks(world);
  if (options.integer("threads") > 0) return options.integer("threads");
  const RankPlace& mine = places[static_cast<size_t>(world.rank())];
  double cores = 0;
  for (size_t core = 0; core < mine.cores.size(); ++core) {
    if (mine.cores[core] != '1') continue;
    const auto shares = [&](const RankPlace& other) {
      return other.host == mine.host && core < other.cores.size() && other.cores[core] == '1';
    };
    cores += 1.0 / static_cast<double>(std::ranges::count_if(places, shares));
  }
  return std::max<int64_t>(1, static_cast<int64_t>(cores + 1e-6));
}

}  // namespace alm
