#include "launch/doctor_checks.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "kernels/base/clock.h"
#include "kernels/base/text.h"
#include "launch/front_page.h"
#include "launch/log_flags.h"
#include "launch/threads.h"

namespace fs = std::filesystem;

namespace alm {
namespace {

std::string ranks_text(int64_t ranks) {
  return format("%lld rank%s", static_cast<long long>(ranks), ranks == 1 ? "" : "s");
}

// COLLECTIVE. A number of every rank.
std::vector<double> numbers_of_ranks(double mine, Communicator& world, const char* what) {
  std::vector<double> all;
  for (const std::string& of : world.all_gather_strings(format("%.17g", mine), what)) {
    all.push_back(std::strtod(of.c_str(), nullptr));
  }
  return all;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// Cores that any of these ranks may run on.
int64_t joined_cores(const std::vector<RankPlace>& places, const std::vector<size_t>& ranks) {
  int64_t cores = 0;
  for (size_t core = 0; core < places[ranks[0]].cores.size(); ++core) {
    cores += std::ranges::any_of(ranks, [&](size_t rank) {
      return core < places[rank].cores.size() && places[rank].cores[core] == '1';
    });
  }
  return cores;
}

double available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  double kilobytes = 0;
  while (file >> key >> kilobytes) {
    if (key == "MemAvailable:") return kilobytes * 1024;
    std::getline(file, unit);
  }
  return 0;
}

// The directory itself, else the nearest above it that exists.
fs::path existing(fs::path path) {
  path = fs::absolute(path).lexically_normal();
  std::error_code error;
  while (!fs::exists(path, error) && path.has_relative_path()) path = path.parent_path();
  return path;
}

}  // namespace

std::vector<Finding> check_ping(Communicator& world) {
  if (world.size() == 1) return {{Health::well, "one rank, " + world.name()}};
  constexpr int kTimes = 21;
  std::vector<double> seconds;
  for (int time = 0; time < kTimes; ++time) {
    Timer timer;
    world.barrier("ping");
    seconds.push_back(timer.seconds());
  }
  Finding finding{Health::well, format("%s of %s meet in %.3g us", ranks_text(world.size()).c_str(),
                                       world.name().c_str(), 1e6 * median(seconds))};
  if (median(seconds) > 1e-3) {
    finding.health = Health::doubtful;
    finding.advice =
        "that is slow: see below whether ranks share cores, else look at the network MPI takes";
  }
  return {finding};
}

std::vector<Finding> check_versions(Communicator& world) {
  const auto lines_of = [](const std::string& text) {
    std::vector<std::string> lines = split(text, '\n');
    lines.pop_back();  // behind the last line's end
    return lines;
  };
  const std::vector<std::string> texts =
      world.all_gather_strings(version_text(world.name()) + gpu_version_text(), "versions");
  const std::vector<std::string> of_first = lines_of(texts[0]);
  std::vector<Finding> findings;
  for (size_t line = 1; line < of_first.size(); ++line) {  // the first is the program's name
    findings.push_back({Health::well, of_first[line].substr(2)});
  }
  const auto other = std::ranges::find_if(texts, [&](const auto& of) { return of != texts[0]; });
  if (other == texts.end()) return findings;
  const size_t rank = static_cast<size_t>(other - texts.begin());
  const std::vector<std::string> of_other = lines_of(*other);
  const auto [mine, theirs] = std::ranges::mismatch(of_first, of_other);
  findings.push_back(
      {Health::doubtful,
       format("rank %zu on %s has %s", rank, places_of_ranks(world)[rank].host.c_str(),
              theirs != of_other.end() ? theirs->substr(2).c_str() : "another program"),
       "give all hosts the same program and the same libraries (LD_LIBRARY_PATH)"});
  return findings;
}

std::vector<Finding> check_machine(const Options& options, Communicator& world) {
  const std::vector<RankPlace> places = places_of_ranks(world);
  const std::vector<double> threads =
      numbers_of_ranks(static_cast<double>(threads_of_rank(options, world)), world, "threads");
  const std::vector<double> memory = numbers_of_ranks(available_memory(), world, "memory");
  const std::vector<double> online =
      numbers_of_ranks(static_cast<double>(::sysconf(_SC_NPROCESSORS_ONLN)), world, "processors");
  // Slurm gives a job its part of a host: the rest is not ours to use.
  const bool whole_host = std::getenv("SLURM_JOB_ID") == nullptr;
  std::map<std::string, std::vector<size_t>> hosts;
  for (size_t rank = 0; rank < places.size(); ++rank) hosts[places[rank].host].push_back(rank);

  std::vector<Finding> findings;
  for (const auto& [host, ranks] : hosts) {
    const int64_t cores = joined_cores(places, ranks);
    double all_threads = 0;
    for (const size_t rank : ranks) all_threads += threads[rank];
    const double share = memory[ranks[0]] / static_cast<double>(ranks.size());
    Finding finding{
        Health::well,
        format("%s: %s, %g threads in all, %lld of %g cores, %s free memory a rank", host.c_str(),
               ranks_text(static_cast<int64_t>(ranks.size())).c_str(), all_threads,
               static_cast<long long>(cores), online[ranks[0]], human_bytes(share).c_str())};
    if (all_threads > static_cast<double>(cores)) {
      finding.advice = "more threads than cores: give fewer ranks a host or fewer --threads";
    } else if (whole_host && static_cast<double>(cores) < online[ranks[0]]) {
      finding.advice =
          "cores lie idle: give more ranks a host, or bind each to several (mpirun --map-by "
          "slot:PE=CORES)";
    } else if (share < 2e9) {
      finding.advice = "little memory: give fewer ranks a host";
    }
    if (!finding.advice.empty()) finding.health = Health::doubtful;
    findings.push_back(finding);
  }
  return findings;
}

std::vector<Finding> check_bandwidth(Communicator& world) {
  if (world.size() == 1) return {{Health::well, "one rank: nothing travels"}};
  constexpr size_t kNumbers = size_t{1} << 22;
  constexpr int kTimes = 5;
  std::vector<float> numbers(kNumbers, 1.0f);
  double best = 1e30;
  for (int time = 0; time < kTimes; ++time) {
    std::ranges::fill(numbers, 1.0f);
    world.barrier("before a sum");
    Timer timer;
    world.all_reduce_sum(std::span(numbers), "bandwidth");
    best = std::min(best, timer.seconds());
  }
  int64_t wrong =
      std::ssize(numbers) - std::ranges::count(numbers, static_cast<float>(world.size()));
  world.all_reduce_sum(std::span(&wrong, 1), "wrong sums");
  if (wrong > 0) {
    return {{Health::ill,
             format("%lld sums of ones over %s came out wrong", static_cast<long long>(wrong),
                    ranks_text(world.size()).c_str()),
             "the network or MPI damages messages: look at their logs"}};
  }
  best = std::ranges::max(numbers_of_ranks(best, world, "bandwidth"));
  const double rate = static_cast<double>(kNumbers * sizeof(float)) / best;
  Finding finding{Health::well, format("16 MiB are summed over all ranks in %.3g ms (%.2g GB/s)",
                                       1e3 * best, rate / 1e9)};
  if (rate < 2e8) {
    finding.health = Health::doubtful;
    finding.advice =
        "that is slow: ranks share cores, or MPI takes the wrong network (mpirun --mca "
        "btl_tcp_if_include NETWORK)";
  }
  return {finding};
}

std::vector<Finding> check_speed(const Options& options, Communicator& world) {
  constexpr int64_t kSide = 256;
  constexpr double kSeconds = 0.3;
  const std::unique_ptr<Compute> compute = make_compute(options, world);
  const std::vector<float> a(kSide * kSide, 0.5f), b(kSide * kSide, 0.25f);
  std::atomic<int64_t> products = 0;
  const auto body = [&](int64_t, int64_t thread) {
    std::vector<float> y(kSide * kSide);
    Timer timer;
    while (timer.seconds() < kSeconds) {
      compute->ops().linear_forward(*compute->thread(thread).queue,
                                    {.x = {a.data(), kSide, kSide},
                                     .w = {b.data(), kSide, kSide},
                                     .bias = {},
                                     .y = {y.data(), kSide, kSide}});
      ++products;
    }
  };
  world.barrier("before products");
  Timer timer;
  compute->pool().parallel_for(compute->threads(), body);
  const double mine = 2e-9 * kSide * kSide * kSide * static_cast<double>(products) /
                      timer.seconds() / static_cast<double>(compute->threads());
  const std::vector<double> rates = numbers_of_ranks(mine, world, "speed");
  const std::vector<RankPlace> places = places_of_ranks(world);
  const auto [slowest, fastest] = std::ranges::minmax_element(rates);
  Finding finding{Health::well, format("%.3g GFLOP/s a thread with all at work", median(rates))};
  if (world.size() > 1) finding.what += format(" (%.3g to %.3g by rank)", *slowest, *fastest);
  if (*slowest < 0.7 * median(rates)) {
    const int64_t rank = slowest - rates.begin();
    finding.health = Health::doubtful;
    finding.advice = format(
        "every step waits for the slowest, rank %lld on %s: look at what else runs there and at "
        "the binding of its cores",
        static_cast<long long>(rank), places[static_cast<size_t>(rank)].host.c_str());
  }
  return {finding};
}

std::vector<Finding> check_out(const Options& options, Communicator& world) {
  const std::string& out = options.text("out");
  const fs::path folder = fs::path(world.broadcast_string(existing(out).string(), 0, "--out"));
  const std::vector<RankPlace> places = places_of_ranks(world);
  // Of this job alone: what a killed one left must not look like a neighbour's.
  const std::string job = world.broadcast_string(
      format("%s-%d", places[0].host.c_str(), static_cast<int>(::getpid())), 0, "--out");
  const auto file_of = [&](int64_t rank) {
    return folder / format(".alm-doctor-%s-%lld", job.c_str(), static_cast<long long>(rank));
  };
  std::string trouble;
  std::error_code error;
  {
    std::ofstream file(file_of(world.rank()));
    file << places[static_cast<size_t>(world.rank())].host << std::endl;
    if (!file) trouble = "cannot write";
  }
  const std::vector<std::string> written = world.all_gather_strings(trouble, "--out");
  const bool all_wrote = std::ranges::all_of(written, [](const auto& of) { return of.empty(); });
  // Network file systems show new files after a while.
  const double patience = std::min(5.0, options.real("deadline") / 2);
  Timer timer;
  for (int64_t rank = 0; rank < world.size() && all_wrote && trouble.empty(); ++rank) {
    while (!fs::exists(file_of(rank), error) && timer.seconds() < patience) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    if (!fs::exists(file_of(rank), error)) trouble = "does not see what other ranks write";
  }
  world.barrier("files seen");
  fs::remove(file_of(world.rank()), error);
  const std::vector<std::string> troubles = world.all_gather_strings(trouble, "--out");
  for (size_t rank = 0; rank < troubles.size(); ++rank) {
    if (troubles[rank].empty()) continue;
    return {{Health::ill,
             format("rank %zu on %s %s in %s", rank, places[rank].host.c_str(),
                    troubles[rank].c_str(), folder.c_str()),
             "name an --out that every host shares and that you may write"}};
  }
  const fs::space_info space = fs::space(folder, error);
  const double room = error ? 0 : static_cast<double>(space.available);
  Finding finding{Health::well, format("all ranks write and see files in %s, %s free",
                                       folder.c_str(), human_bytes(room).c_str())};
  if (room < 1e9) {
    finding.health = Health::doubtful;
    finding.advice = "checkpoints may find no room: free some, or name another --out";
  }
  return {finding};
}

std::vector<Finding> check_log(const Options& options, Communicator& world) {
  io::LogOptions log_options;
  log_options.index_dir = options.text("index-dir");
  std::shared_ptr<const io::Log> log;
  world.together("opening the log",
                 [&] { log = io::Log::open(options.texts("log"), log_options); });
  const std::vector<std::string> seen =
      world.all_gather_strings(log->manifest_hash(), "files of the log");
  const std::vector<RankPlace> places = places_of_ranks(world);
  for (size_t rank = 0; rank < seen.size(); ++rank) {
    if (seen[rank] == seen[0]) continue;
    return {{Health::ill,
             format("rank %zu on %s sees other files there than rank 0", rank,
                    places[rank].host.c_str()),
             "put the log where every host sees the same files"}};
  }
  std::vector<Finding> findings{
      {Health::well,
       format("%s journeys, %s touches, the same for all ranks; alm inspect --verify "
              "looks at every row",
              with_commas(log->rows()).c_str(), with_commas(log->touches()).c_str())}};
  for (const std::string& warning : log->warnings()) {
    findings.push_back({Health::doubtful, warning});
  }
  return findings;
}

}  // namespace alm
