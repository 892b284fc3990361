#include "io/chunk_cache.h"

#include <utility>

namespace alm::io {

namespace {

constexpr size_t kMostEntries = 256;  // they are searched one by one

}  // namespace

enum class State { empty, loading, ready };

struct ChunkCache::Entry {
  Key key;
  State state = State::empty;
  int64_t pins = 0;
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

ChunkCache::ChunkCache(size_t bytes) : bytes_(bytes) {}
ChunkCache::~ChunkCache() = default;

// With the lock. An entry that holds or loads the chunk, else an empty one with memory to spare.
ChunkCache::Entry& ChunkCache::find_or_make_room(const Key& key, size_t bytes) {
  size_t held = 0;
  for (const auto& entry : entries_) {
    if (entry->state != State::empty && entry->key == key) return *entry;
    held += entry->bytes.capacity();
  }
  while (true) {
    Entry* spare = nullptr;
    Entry* oldest = nullptr;
    for (const auto& entry : entries_) {
      if (entry->pins > 0) continue;
      if (entry->state == State::empty) {
        spare = entry.get();
      } else if (oldest == nullptr || entry->last_use < oldest->last_use) {
        oldest = entry.get();
      }
    }
    const bool fits =
        held + bytes <= bytes_ && (spare != nullptr || entries_.size() < kMostEntries);
    if (fits || oldest == nullptr) {
      return spare != nullptr ? *spare : *entries_.emplace_back(std::make_unique<Entry>());
    }
    oldest->state = State::empty;
    held -= oldest->bytes.capacity();
    if (held + bytes <= bytes_) return *oldest;  // and its memory
    oldest->bytes = Buffer();
  }
}

ChunkCache::Pin ChunkCache::get(const Key& key, size_t bytes,
                                const std::function<void(std::byte*)>& decode) {
  std::unique_lock lock(mutex_);
  while (true) {
    Entry& entry = find_or_make_room(key, bytes);
    entry.last_use = ++uses_;
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
