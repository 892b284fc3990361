// usage: log_digest LOG
// SHA-256 of every value of a log, as the reader delivers it: equal for logs of equal content
// however they are stored. For mutated_logs.py.
#include <cstdio>
#include <exception>

#include "io/digest.h"
#include "io/log_reader.h"
#include "io/schema.h"

namespace {

std::string digest_of(const std::string& path) {
  const auto log = alm::io::Log::open({path}, {});
  alm::io::Sha256 digest;
  digest.update(alm::io::schema_text(log->schema()));
  alm::io::Journeys block;
  for (int64_t number = 0; number < static_cast<int64_t>(log->blocks().size()); ++number) {
    log->read_block(number, alm::io::ColumnSet::all(), block);
    digest.update(std::as_bytes(std::span(block.touch_begin)));
    alm::io::for_each_column([&](const auto& column) {
      digest.update(column.path);
      digest.update(std::as_bytes(std::span(block.*column.values)));
    });
  }
  return digest.hex();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw std::runtime_error("usage: log_digest LOG");
    std::printf("%s\n", digest_of(argv[1]).c_str());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
