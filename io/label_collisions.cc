#include "io/label_collisions.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "io/field.h"
#include "kernels/base/hash.h"

namespace alm::io {

namespace {

constexpr int64_t kBufferBytes = int64_t{1} << 14;
constexpr size_t kRecent = size_t{1} << 14;
constexpr int64_t kCountedBytes = int64_t{16} << 20;  // of labels held at once

using Label = std::pair<uint64_t, uint64_t>;  // id, and a second hash that tells texts apart

// Has nothing in common with the hash that makes ids.
uint64_t second_hash(std::string_view text) {
  uint64_t value = 0x6a09e667f3bcc909u + text.size();
  for (const char letter : text) {
    value = std::rotl(value, 23) + mix(value ^ static_cast<unsigned char>(letter));
  }
  return value;
}

}  // namespace

LabelSpill::LabelSpill(const std::string& path, int64_t writer)
    : spill_(path, writer, kLabelPartitions, kBufferBytes), recent_(kRecent) {}

void LabelSpill::add(std::string_view label) {
  if (is_number_label(label)) return;
  const Label pair{label_id(label), second_hash(label)};
  const uint64_t mark = pair.first ^ std::rotl(pair.second, 32);
  uint64_t& seen = recent_[mark % kRecent];
  if (seen == mark) return;
  seen = mark;
  spill_.append(static_cast<int64_t>(mix(pair.first) >> 56), std::as_bytes(std::span(&pair, 1)));
}

LabelCounts count_labels(const std::vector<std::string>& paths,
                         std::span<const SpillPiece> pieces) {
  int64_t bytes = 0;
  for (const SpillPiece& piece : pieces) bytes += piece.bytes;
  // Too many to hold at once: in several goes, each over the labels of one remainder.
  const auto goes = static_cast<uint64_t>(bytes / kCountedBytes + 1);
  LabelCounts counts;
  std::vector<std::byte> read;
  std::vector<Label> labels;
  for (uint64_t go = 0; go < goes; ++go) {
    labels.clear();
    for (const SpillPiece& piece : pieces) {
      read.clear();
      read_spill(paths[static_cast<size_t>(piece.writer)], piece, read);
      for (size_t at = 0; at < read.size(); at += sizeof(Label)) {
        Label label;
        std::memcpy(static_cast<void*>(&label), read.data() + at, sizeof(Label));
        if ((mix(label.first) & 0xffffffffu) % goes == go) labels.push_back(label);
      }
    }
    std::sort(labels.begin(), labels.end());
    labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
    counts.labels += static_cast<int64_t>(labels.size());
    for (size_t label = 0; label < labels.size(); ++label) {
      counts.ids += label == 0 || labels[label].first != labels[label - 1].first;
    }
  }
  return counts;
}

double expected_collisions(int64_t labels) {
  const double count = static_cast<double>(labels);
  return count * (count - 1) * 0x1p-65;
}

}  // namespace alm::io
