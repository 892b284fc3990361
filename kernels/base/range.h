// Names for what a thread is at, for a profiler that watches the program.
#pragma once

namespace alm {

// What shows them, set before there are several threads; null: nobody, and a range costs a look.
struct RangeTool {
  void (*begin)(const char* name) = nullptr;
  void (*end)() = nullptr;
};
inline RangeTool range_tool;

// The thread is at `name` while this lives. Ranges of a thread nest.
class Range {
 public:
  explicit Range(const char* name) {
    if (range_tool.begin != nullptr) range_tool.begin(name);
  }
  ~Range() {
    if (range_tool.end != nullptr) range_tool.end();
  }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

}  // namespace alm
