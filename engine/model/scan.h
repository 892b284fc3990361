// One pass over a log, shared by ranks and threads.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/model/compute.h"
#include "io/batch_stream.h"

namespace alm {

// Rows of a micro-batch of a scan: fixed, so that the same rows give the same bits anywhere.
inline constexpr int64_t kScanRows = 256;

// COLLECTIVE: what one rank throws all throw (Communicator::together); body holds no collectives.
// Throws Stopped soon after a wish to stop; UserError for outcomes and weights too large for exact
// sums.
// Hands this rank's blocks to body(number of the block, its micro-batches) in log order, one after
// the other; filter, columns and result as scan_log. `threads` decode ahead. Without a title no
// progress is shown.
io::ReadReport scan_blocks(
    std::shared_ptr<const io::Log> log, int64_t threads, Communicator& world,
    const io::UserFilter& filter, const io::ColumnSet& columns, const std::string& title,
    const std::function<void(int64_t block, const std::vector<io::Journeys>&)>& body);

// Runs body(micro-batch, thread) over this rank's blocks, in parallel within a block, for the rows
// that pass `filter` (empty: all). COLLECTIVE and throws as scan_blocks. Returns what was met while
// reading.
io::ReadReport scan_log(std::shared_ptr<const io::Log> log, Compute& compute, Communicator& world,
                        const io::UserFilter& filter, const io::ColumnSet& columns,
                        const std::string& title,
                        const std::function<void(const io::Journeys&, int64_t thread)>& body);

// COLLECTIVE. What all ranks met while reading; the first bad row in log order.
io::ReadReport sum_over_ranks(const io::ReadReport& report, Communicator& world);

}  // namespace alm
