// How a log is stored, what would be better, and whether its bytes are as they were written.
#pragma once

#include <string>
#include <vector>

#include "engine/comm/communicator.h"
#include "io/json.h"
#include "io/log_reader.h"
#include "kernels/base/thread_pool.h"

namespace alm {

// {"data_sets": [...], "advice": [...]} over all files of the log.
io::Json storage_json(const io::Log& log);

// COLLECTIVE. Reads every stored byte against its checksum, shared by ranks and threads; the same
// answer on every rank.
io::Json verify_log(const io::Log& log, ThreadPool& pool, Communicator& world);

}  // namespace alm
