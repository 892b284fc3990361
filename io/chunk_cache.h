// Decoded chunks that more than one block needs.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "io/codec.h"

namespace alm::io {

// A chunk of a narrow column holds the rows of many blocks, and one at the edge of a block those of
// two. They are decoded once for all threads and kept while they fit `bytes` together: out go first
// the finished ones, then the least recently used. What is in use stays all the same. Thread-safe;
// reuses its memory.
class ChunkCache {
 private:
  struct Entry;

 public:
  // Which chunk of which data set of which file.
  struct Key {
    int64_t file = -1;
    int64_t slot = 0;
    int64_t chunk = 0;
    bool operator==(const Key&) const = default;
  };

  // Keeps a chunk in place while it lives.
  class Pin {
   public:
    Pin() = default;
    Pin(ChunkCache* cache, Entry* entry) : cache_(cache), entry_(entry) {}
    Pin(Pin&& other) noexcept
        : cache_(other.cache_), entry_(std::exchange(other.entry_, nullptr)) {}
    Pin& operator=(Pin&& other) noexcept;
    ~Pin();
    const std::byte* data() const;
    // Says that whoever reads on in the log will not come back to this chunk.
    void finish();

   private:
    ChunkCache* cache_ = nullptr;
    Entry* entry_ = nullptr;
  };

  explicit ChunkCache(size_t bytes);
  ~ChunkCache();
  // The chunk, of `bytes` plain bytes. `decode` fills them if it is not here; while one thread does
  // that, others who want the chunk wait. What `decode` throws passes through.
  Pin get(const Key& key, size_t bytes, const std::function<void(std::byte*)>& decode);
  // From now on the chunks may be `more` bytes larger together; negative: smaller, at once.
  void grow(int64_t more);

 private:
  size_t held() const;
  Entry* first_out() const;
  Entry& find_or_make_room(const Key& key, size_t bytes);

  size_t bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Entry>> entries_;
  int64_t uses_ = 0;
};

}  // namespace alm::io
