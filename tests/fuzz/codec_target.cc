// A stored chunk, undone by any pipeline; and the streams of zstd.
#include <algorithm>
#include <array>
#include <cstring>

#include "io/codec.h"
#include "kernels/base/check.h"
#include "kernels/base/text.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

namespace alm::fuzz {

namespace {

constexpr std::array kFilters = {io::kFilterDeflate, io::kFilterShuffle, io::kFilterFletcher32,
                                 io::kFilterZstd,    io::kFilterLz4,     uint32_t{307}};

void fill(io::Buffer& buffer, std::string_view text) {
  std::byte* out = buffer.resize(std::max<size_t>(text.size(), 1));
  std::copy_n(reinterpret_cast<const std::byte*>(text.data()), text.size(), out);
  buffer.cut(text.size());
}

std::string words(std::span<const io::Filter> filters) {
  std::string text;
  for (const io::Filter& filter : filters) {
    text += format("%s(%u) ", io::filter_name(filter.id), filter.element_bytes);
  }
  return text;
}

// What was encoded comes back.
void there_and_back(std::span<const io::Filter> filters, std::string_view text) {
  if (text.empty() || !io::can_decode(filters)) return;
  io::Buffer chunk;
  io::Buffer scratch;
  fill(chunk, text);
  io::encode_chunk(filters, chunk, scratch);
  std::vector<std::byte> plain(text.size());
  const char* fault = io::decode_chunk(filters, 0, plain, chunk, scratch);
  ALM_CHECK(fault == nullptr, "%s after %s", fault, words(filters).c_str());
  ALM_CHECK(std::memcmp(plain.data(), text.data(), text.size()) == 0);
}

void undo_stream(std::string_view text) {
  io::ZstdStream stream;
  std::array<std::byte, 4096> out;
  std::span<const std::byte> in = std::as_bytes(std::span(text));
  for (int64_t piece = 0; piece < 1000; ++piece) {
    const auto filled = stream.undo(in, out);
    if (!filled || (*filled < out.size() && in.empty())) return;
  }
}

}  // namespace

// Bytes: number of filters; for each its place in kFilters and its element size; mask; plain bytes
// (2); the chunk.
void run_target(std::string_view input) {
  std::vector<io::Filter> filters(take_byte(input) % 5);
  for (io::Filter& filter : filters) {
    filter.id = kFilters[take_byte(input) % kFilters.size()];
    filter.element_bytes = take_byte(input);
  }
  const uint32_t mask = take_byte(input);
  size_t plain = static_cast<size_t>(take_byte(input)) * 256;
  plain += take_byte(input);
  if (io::can_decode(filters)) {
    io::Buffer chunk;
    io::Buffer scratch;
    fill(chunk, input);
    std::vector<std::byte> out(plain);
    io::decode_chunk(filters, mask, out, chunk, scratch);
  }
  there_and_back(filters, input);
  undo_stream(input);
}

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  std::string plain(1001, 'a');
  for (size_t at = 0; at < plain.size(); ++at) plain[at] = static_cast<char>(at * at % 251 / 7);
  for (const io::Codec codec :
       {io::Codec::none, io::Codec::deflate, io::Codec::zstd, io::Codec::lz4}) {
    for (const int64_t element : {1, 2, 3, 4, 8}) {
      const std::vector<io::Filter> filters = io::pipeline_of(codec, element);
      io::Buffer chunk;
      io::Buffer scratch;
      fill(chunk, plain);
      io::encode_chunk(filters, chunk, scratch);
      std::string seed(1, static_cast<char>(filters.size()));
      for (const io::Filter& filter : filters) {
        const auto* place = std::find(kFilters.begin(), kFilters.end(), filter.id);
        seed += static_cast<char>(place - kFilters.begin());
        seed += static_cast<char>(filter.element_bytes);
      }
      seed += '\0';
      seed += static_cast<char>(plain.size() / 256);
      seed += static_cast<char>(plain.size() % 256);
      seed.append(reinterpret_cast<const char*>(chunk.data()), chunk.size());
      all.push_back(seed);
    }
  }
  return all;
}

}  // namespace alm::fuzz
