// A text table, plain, gzip or zstd by its own first bytes; each field by every rule that reads
// one.
#include "io/csv.h"

#include <zlib.h>

#include "io/codec.h"
#include "io/field.h"
#include "kernels/base/check.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

namespace alm::fuzz {

namespace {

const std::string kTable =
    "user,time,outcome,text\r\n"
    "1,2024-05-31 12:30:00,0,\"a, \"\"quoted\"\" one\"\r\n"
    "18446744073709551615,2024-02-29T23:59:59.250Z,yes,\"two\nlines\"\n"
    "-9223372036854775808,1700000000000,1e-3,größe\n"
    "\n +3.5 ,9223372036854775807,NO,\n";

void parse(std::string_view field) {
  using enum io::TimeUnit;
  const auto number = io::parse_number(field);
  ALM_CHECK(!number || *number - *number == 0, "a number that is not finite");
  io::parse_whole(field);
  const auto binary = io::parse_binary(field);
  ALM_CHECK(!binary || *binary <= 1);
  for (const io::TimeUnit unit : {seconds, milliseconds, microseconds}) io::parse_time(field, unit);
  io::label_id(field);
  ALM_CHECK(io::signed_label_id(field) >= 0 || field[0] == '-');
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  ALM_CHECK(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(text.size() + 100, '\0');
  std::string in = text;
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  ALM_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& text) {
  io::Buffer chunk;
  io::Buffer scratch;
  std::copy_n(reinterpret_cast<const std::byte*>(text.data()), text.size(),
              chunk.resize(text.size()));
  io::encode_chunk(std::vector<io::Filter>{{io::kFilterZstd}}, chunk, scratch);
  return {reinterpret_cast<const char*>(chunk.data()), chunk.size()};
}

}  // namespace

// Bytes: separator (\0: a tab), the file.
void run_target(std::string_view input) {
  static const Scratch scratch;
  const uint8_t separator = take_byte(input);
  int64_t last_line = 0;
  io::read_csv(scratch.write("table.csv", input), separator == 0 ? '\t' : ',',
               [&](std::span<const std::string_view> fields, int64_t line) {
                 ALM_CHECK(line >= last_line, "lines go back");
                 last_line = line;
                 for (const std::string_view field : fields) parse(field);
               });
}

std::vector<std::string> seeds() {
  const std::string comma(1, ',');
  return {comma + kTable,       comma + "\xEF\xBB\xBF" + kTable,
          comma + "\xFF\xFE",   comma + gzip(kTable),
          comma + zstd(kTable), std::string(1, '\0') + "a\tb\n1\t\"2\"\n",
          comma + "a,b\n\"1\n"};
}

}  // namespace alm::fuzz
