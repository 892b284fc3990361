// An index sidecar that somebody forged, checksum and all, beside a small log; and the chunk reader
// led by it.
#include "io/file_indexer.h"
#include "io/index_sidecar.h"
#include "io/log_reader.h"
#include "io/log_writer.h"
#include "kernels/base/check.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

namespace alm::fuzz {

namespace {

void write_log(const std::string& path, io::Codec codec) {
  io::LogSchema schema;
  schema.clusters = 3;
  schema.dense = 2;
  schema.mediator = true;
  io::Journeys rows;
  for (int64_t row = 0; row < 53; ++row) {
    rows.row.push_back(row);
    rows.user.push_back(static_cast<uint64_t>(row * row));
    rows.outcome.push_back(static_cast<float>(row % 2));
    for (int64_t column = 0; column < 2; ++column) rows.dense.push_back(static_cast<float>(row));
    for (int64_t touch = 0; touch < row % 4; ++touch) {
      rows.cluster.push_back(static_cast<uint32_t>((row + touch) % 3));
      rows.mediator.push_back(static_cast<uint8_t>(touch % 2));
    }
    rows.touch_begin.push_back(static_cast<int64_t>(rows.cluster.size()));
  }
  io::LogWriter writer(path, schema, rows.size(), codec);
  writer.append(rows);
  writer.finish();
}

// A log file and its index.
struct Case {
  std::string log;
  io::FileKey key;
  std::string index;  // packed
};

Case make_case(const Scratch& scratch, const std::string& name, io::Codec codec) {
  const std::string path = scratch.path(name);
  write_log(path, codec);
  return {path, io::look_at(path), io::pack_index(io::read_file_index(path))};
}

const std::vector<Case>& cases() {
  static const Scratch scratch;
  static const std::vector<Case> made = {make_case(scratch, "none.h5", io::Codec::none),
                                         make_case(scratch, "deflate.h5", io::Codec::deflate),
                                         make_case(scratch, "zstd.h5", io::Codec::zstd),
                                         make_case(scratch, "lz4.h5", io::Codec::lz4)};
  return made;
}

// Whether the index was believed.
bool read_by(const Case& of, const std::string& forged) {
  const auto index = io::unpack_index(forged);
  if (!index) return false;
  const std::string sidecar = of.log + ".index";
  io::save_sidecar(sidecar, of.key, *index);
  if (!io::load_sidecar(sidecar, of.key)) return false;
  const auto log = io::Log::open({of.log}, {});
  io::Journeys block;
  for (int64_t number = 0; number < static_cast<int64_t>(log->blocks().size()); ++number) {
    log->read_block(number, io::ColumnSet::all(), block);
  }
  return true;
}

}  // namespace

// Bytes: which log; the packed index.
void run_target(std::string_view input) {
  const Case& of = cases()[take_byte(input) % cases().size()];
  read_by(of, std::string(input));
}

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (size_t number = 0; number < cases().size(); ++number) {
    ALM_CHECK(read_by(cases()[number], cases()[number].index));
    all.push_back(static_cast<char>(number) + cases()[number].index);
  }
  return all;
}

}  // namespace alm::fuzz
