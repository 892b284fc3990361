#include "engine/model/scan.h"

#include <algorithm>
#include <optional>

#include "engine/model/feature_stats.h"
#include "kernels/base/log.h"

namespace alm {

io::ReadReport scan_blocks(
    std::shared_ptr<const io::Log> log, int64_t threads, const Communicator& world,
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
  io::ScanStream stream(log, options);
  std::optional<Progress> progress;
  if (!title.empty()) progress.emplace(title, mine.last - mine.first, "blocks");
  int64_t block = 0;
  while (const std::vector<io::Journeys>* batches = stream.next(&block)) {
    body(block, *batches);
    if (progress) progress->update(block - mine.first + 1);
  }
  return stream.report();
}

io::ReadReport scan_log(std::shared_ptr<const io::Log> log, Compute& compute,
                        const Communicator& world, const io::UserFilter& filter,
                        const io::ColumnSet& columns, const std::string& title,
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
  io::ReadReport total{counts[0], counts[1], "", counts[2], counts[3]};
  for (const std::string& line : world.all_gather_strings(report.first_bad_row, "first bad row")) {
    if (total.first_bad_row.empty()) total.first_bad_row = line;
  }
  return total;
}

}  // namespace alm
