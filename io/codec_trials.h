// What compression costs and saves on the columns of a log: the measurement that the writer's
// choices rest on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/log_reader.h"

namespace alm::io {

struct CodecTrial {
  std::string column;
  std::string pipeline;          // "shuffle, deflate 1"
  int64_t chunk_bytes = 0;       // plain
  double stored_share = 0;       // stored bytes of a plain one
  double encode_per_second = 0;  // plain bytes a second of one processor
  double decode_per_second = 0;  // checksum not counted
};

// Every stored column of the log's first file, up to 4 MiB of its first rows, through each pipeline
// in turn. UserError as reading.
std::vector<CodecTrial> try_codecs(const Log& log);

}  // namespace alm::io
