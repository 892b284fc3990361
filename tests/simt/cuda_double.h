// What the parts of the double of the CUDA runtime know of each other: cuda_double.cc has the
// machine and its memory, cuda_streams.cc streams and events, cuda_graphs.cc graphs.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <vector>

// How often an event was recorded, and how far the work before it has come.
struct CUevent_st {
  int64_t recorded = 0;
  int64_t reached = 0;
  bool with_time = true;
  double at = 0;                // seconds at which it was reached last
  CUgraph_st* graph = nullptr;  // its last record is part of one that is being recorded
  size_t node = 0;
};

namespace simt {

using EventState = std::shared_ptr<CUevent_st>;

// One of: something to run, which says whether it has ended, the recording of an event, a wait for
// one.
struct Work {
  std::function<bool()> run = nullptr;
  bool asks = false;  // run() may have to wait, and takes the device's memory itself
  EventState recorded = nullptr;
  EventState awaited = nullptr;
  int64_t turn = 0;  // of the event

  bool ready() const { return awaited == nullptr || awaited->reached >= turn; }
};

}  // namespace simt

struct CUstream_st {
  std::deque<simt::Work> work;
  CUgraph_st* graph = nullptr;  // that it records
  std::vector<size_t> after;    // nodes that the next one follows
};

namespace simt {

// Device memory is the device's while one of these lives.
class DeviceWorks {
 public:
  DeviceWorks();
  ~DeviceWorks();
  DeviceWorks(const DeviceWorks&) = delete;
  DeviceWorks& operator=(const DeviceWorks&) = delete;
};

std::set<CUstream_st*>& streams();
std::vector<EventState>& events();
// One of `count` numbers; 0 where the streams' schedule is that of seed 0.
size_t any_of(size_t count);
// All work of all streams, as the driver does before it gives memory back.
void finish_all_streams();

// Whether a stream records a graph: then nothing may be allocated, given back or waited for.
bool records_graph();
// Adds to the graph that the stream records; the node's number.
size_t record_node(CUstream_st* stream, std::function<void()> run);

}  // namespace simt
