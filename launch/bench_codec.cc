// alm bench codec: what each compression costs and saves on the columns of a log.
#include "io/codec_trials.h"
#include "kernels/base/text.h"
#include "launch/bench.h"

namespace alm {

void bench_codec(const Options& options, BenchResults& results) {
  if (options.texts("log").empty()) throw UserError("alm bench codec needs --log");
  io::LogOptions log_options;
  log_options.index_dir = options.text("index-dir");
  const auto log = io::Log::open(options.texts("log"), log_options);
  results.add("| column | pipeline | chunk | stored | written | read |\n|---|---|---|---|---|---|",
              nullptr);
  for (const io::CodecTrial& trial : io::try_codecs(*log)) {
    results.add(
        format("| %s | %s | %s | %.3f | %s/s | %s/s |", trial.column.c_str(),
               trial.pipeline.c_str(), human_bytes(static_cast<double>(trial.chunk_bytes)).c_str(),
               trial.stored_share, human_bytes(trial.encode_per_second).c_str(),
               human_bytes(trial.decode_per_second).c_str()),
        {{"column", trial.column},
         {"pipeline", trial.pipeline},
         {"chunk_bytes", trial.chunk_bytes},
         {"stored_share", trial.stored_share},
         {"encode_bytes_per_s", trial.encode_per_second},
         {"decode_bytes_per_s", trial.decode_per_second}});
  }
}

}  // namespace alm
