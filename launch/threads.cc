#include "launch/threads.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

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

int64_t threads_of_rank(const Options& options, Communicator& world) {
  const std::string mine = allowed_cpus();
  const std::string host = host_name() + "/";
  const std::vector<std::string> all = world.all_gather_strings(host + mine, "cores of every rank");
  if (options.integer("threads") > 0) return options.integer("threads");
  double cores = 0;
  for (size_t cpu = 0; cpu < mine.size(); ++cpu) {
    if (mine[cpu] != '1') continue;
    int64_t sharers = 0;
    for (const std::string& other : all) {
      const bool same_host = other.compare(0, host.size(), host) == 0;
      if (same_host && host.size() + cpu < other.size() && other[host.size() + cpu] == '1')
        ++sharers;
    }
    cores += 1.0 / static_cast<double>(std::max<int64_t>(sharers, 1));
  }
  return std::max<int64_t>(1, static_cast<int64_t>(cores + 1e-6));
}

}  // namespace alm
