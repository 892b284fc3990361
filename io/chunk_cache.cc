#include "io/chunk_cache.h"

#include <utility>

namespace alm::io {

namespace {

constexpr size_t kMostEntries = 1024;  // they are searched one by one

}  // namespace

enum class State { empty, loading, ready };

struct ChunkCache::Entry {
  Key key;
  State state = State::empty;
  int64_t pins = 0;
  bool finished = false;
  int64_t last_use = 0;
  Buffer bytes;
};

ChunkCache::Pin& ChunkCache::Pin::operator=(Pin&& other) noexcept {
  std::swap(cache_, other.cache_);
  std::swap(entry_, other.entry_);
  return *this;
}

ChunkCache::Pin::~Pin() {
  if (entry_ == nullptr) return;
  std::lock_guard lock(cache_->mutex_);
  --entry_->pins;
}

const std::byte* ChunkCache::Pin::data() const {
  return entry_->bytes.data();
}

void ChunkCache::Pin::finish() {
  std::lock_guard lock(cache_->mutex_);
  entry_->finished = true;
}

ChunkCache::ChunkCache(size_t bytes) : bytes_(bytes) {}
ChunkCache::~ChunkCache() = default;

// With the lock.
size_t ChunkCache::held() const {
  size_t bytes = 0;
  for (const auto& entry : entries_) bytes += entry->bytes.capacity();
  return bytes;
}

// With the lock: of the chunks that are not in use; nullptr when there is none.
ChunkCache::Entry* ChunkCache::first_out() const {
  const auto order = [](const Entry& entry) { return std::pair(!entry.finished, entry.last_use); };
  Entry* first = nullptr;
  for (const auto& entry : entries_) {
    if (entry->pins > 0 || entry->state == State::empty) continue;
    if (first == nullptr || order(*entry) < order(*first)) first = entry.get();
  }
  return first;
}

void ChunkCache::grow(int64_t more) {
  std::lock_guard lock(mutex_);
  bytes_ += static_cast<size_t>(more);
  for (size_t bytes = held(); bytes > bytes_; bytes = held()) {
    Entry* out = first_out();
    if (out == nullptr) return;
    out->state = State::empty;
    out->bytes = Buffer();
  }
}

// With the lock. An entry that holds or loads the chunk, else an empty one with memory to spare.
ChunkCache::Entry& ChunkCache::find_or_make_room(const Key& key, size_t bytes) {
  Entry* spare = nullptr;
  for (const auto& entry : entries_) {
    if (entry->state != State::empty && entry->key == key) return *entry;
    if (entry->state == State::empty && entry->pins == 0) spare = entry.get();
  }
  size_t others = held();
  while (true) {
    const bool fits =
        others + bytes <= bytes_ && (spare != nullptr || entries_.size() < kMostEntries);
    Entry* out = fits ? nullptr : first_out();
    if (out == nullptr) {
      return spare != nullptr ? *spare : *entries_.emplace_back(std::make_unique<Entry>());
    }
    out->state = State::empty;
    others -= out->bytes.capacity();
    if (others + bytes <= bytes_) return *out;  // and its memory
    out->bytes = Buffer();
    spare = out;
  }
}

ChunkCache::Pin ChunkCache::get(const Key& key, size_t bytes,
                                const std::function<void(std::byte*)>& decode) {
  std::unique_lock lock(mutex_);
  while (true) {
    Entry& entry = find_or_make_room(key, bytes);
    entry.last_use = ++uses_;
    entry.finished = false;
    ++entry.pins;
    if (entry.state == State::empty) {
      entry.key = key;
      entry.state = State::loading;
      lock.unlock();
      try {
        decode(entry.bytes.resize(bytes));
      } catch (...) {
        lock.lock();
        entry.state = State::empty;
        --entry.pins;
        changed_.notify_all();
        throw;
      }
      lock.lock();
      entry.state = State::ready;
      changed_.notify_all();
      return Pin(this, &entry);
    }
    changed_.wait(lock, [&] { return entry.state != State::loading; });
    if (entry.state == State::ready) return Pin(this, &entry);
    --entry.pins;  // the other thread could not: find out why
  }
}

}  // namespace alm::io
