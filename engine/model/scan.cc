#include "engine/model/scan.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "engine/model/feature_stats.h"
#include "kernels/base/log.h"
#include "kernels/base/stop_flag.h"

namespace alm {
namespace {

// The sums of a scan hold terms up to 2^60, some of them products of squares of weight and outcome.
constexpr double kLargestWeighted = 1e9;

// "FILE, data set SET, row 12", of a row of the whole log.
std::string place_of(const io::Log& log, const char* set, int64_t row) {
  const auto after = std::partition_point(log.files().begin(), log.files().end(),
                                          [&](const auto& file) { return file.first_row <= row; });
  const io::LogFile& file = *(after - 1);
  return format("%s, data set %s, row %lld", file.path.c_str(), set,
                static_cast<long long>(row - file.first_row));
}

void check_sizes(const io::Log& log, const io::Journeys& journeys) {
  for (size_t row = 0; row < journeys.outcome.size(); ++row) {
    const double weight = journeys.weight.empty() ? 1 : journeys.weight[row];
    const double outcome = std::max(1.0, std::fabs(static_cast<double>(journeys.outcome[row])));
    if (weight * outcome <= kLargestWeighted &&
        weight * outcome * outcome <= kLargestWeighted * kLargestWeighted) {
      continue;
    }
    const bool blame_weight = weight > outcome;
    throw UserError(format(
        "%s: is %g: exact sums hold weight times outcome up to 1e9; divide the column by a "
        "constant%s",
        place_of(log, blame_weight ? "/journey/weight" : "/journey/outcome", journeys.row[row])
            .c_str(),
        blame_weight ? weight : static_cast<double>(journeys.outcome[row]),
        blame_weight ? " (only the ratios of weights matter)" : ""));
  }
}

}  // namespace

io::ReadReport scan_blocks(
    std::shared_ptr<const io::Log> log, int64_t threads, Communicator& world,
    const io::UserFilter& filter, const io::ColumnSet& columns, const std::string& title,
    const std::function<void(int64_t block, const std::vector<io::Journeys>&)>& body) {
  const int64_t blocks = static_cast<int64_t>(log->blocks().size());
  const BlockRange mine = blocks_of_rank(blocks, world.rank(), world.size());
  io::ScanStream::Options options;
  options.first_block = mine.first;
  options.last_block = mine.last;
  options.rows = kScanRows;
  options.columns = columns;
  options.filter = filter;
  options.threads = threads;
  const std::string doing = title.empty() ? "validation rows" : title;
  io::ReadReport report;
  world.together(doing.c_str(), [&] {
    io::ScanStream stream(log, options);
    std::optional<Progress> progress;
    if (!title.empty() && mine.last > mine.first) {
      progress.emplace(title, mine.last - mine.first, "blocks");
    }
    int64_t block = 0;
    while (const std::vector<io::Journeys>* batches = stream.next(&block)) {
      for (const io::Journeys& journeys : *batches) check_sizes(*log, journeys);
      body(block, *batches);
      if (progress) progress->update(block - mine.first + 1);
      if (stop_requested()) throw Stopped(doing);
      if (world.alarm()) return;  // all ranks are about to throw what one has met
    }
    report = stream.report();
  });
  return report;
}

io::ReadReport scan_log(std::shared_ptr<const io::Log> log, Compute& compute, Communicator& world,
                        const io::UserFilter& filter, const io::ColumnSet& columns,
                        const std::string& title,
                        const std::function<void(const io::Journeys&, int64_t thread)>& body) {
  return scan_blocks(log, std::max<int64_t>(1, compute.threads() / 2), world, filter, columns,
                     title, [&](int64_t, const std::vector<io::Journeys>& batches) {
                       compute.pool().parallel_for(static_cast<int64_t>(batches.size()),
                                                   [&](int64_t batch, int64_t thread) {
                                                     body(batches[static_cast<size_t>(batch)],
                                                          thread);
                                                   });
                     });
}

io::ReadReport sum_over_ranks(const io::ReadReport& report, Communicator& world) {
  int64_t counts[4] = {report.rows, report.bad_rows, report.truncated_rows,
                       report.truncated_touches};
  world.all_reduce_sum(std::span<int64_t>(counts), "read rows");
  io::ReadReport total{counts[0], counts[1], "", counts[2], counts[3], {}};
  for (const std::string& line : world.all_gather_strings(report.first_bad_row, "first bad row")) {
    if (total.first_bad_row.empty()) total.first_bad_row = line;
  }
  for (const std::string& kinds : world.all_gather_strings(report.packed_kinds(), "bad rows")) {
    total.add_packed_kinds(kinds);
  }
  return total;
}

}  // namespace alm
