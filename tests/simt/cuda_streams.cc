// Streams and events of the double of the CUDA runtime. A stream is a queue of work that is done
// when the host waits for something, and then in an order drawn by seed, which events alone bind:
// what the host reads too early it reads unfinished, what it overwrites too early arrives
// overwritten, and a stream that should have waited for another runs before it under some seed.
// Some seeds do work as soon as it is queued, too, as an idle GPU does.
#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "kernels/cuda/simt.cuh"
#include "tests/simt/cuda_double.h"
#include "tests/simt/runtime.h"

namespace {

std::set<CUstream_st*> all_streams;
std::vector<simt::EventState> all_events;

// Order of the streams. Seed 0: as late as can be, no stream but the one that is waited for and
// those it waits for.
uint64_t seed = 0;
uint64_t random_state = 1;

uint64_t draw() {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state >> 11;
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool has_ready(const CUstream_st* stream) {
  return !stream->work.empty() && stream->work.front().ready();
}

// Whether the first work of the stream has ended.
bool advance(CUstream_st* stream) {
  try {
    const simt::Work& next = stream->work.front();
    if (next.run && !next.run()) return false;
    if (next.recorded != nullptr) {
      next.recorded->reached = next.turn;
      next.recorded->at = seconds_now();
    }
    stream->work.pop_front();
    return true;
  } catch (...) {
    for (CUstream_st* const of : all_streams) of->work.clear();
    for (const simt::EventState& event : all_events) event->reached = event->recorded;
    throw;
  }
}

// Streams that could go on, but for those that wait for somebody else.
std::vector<CUstream_st*> ready_streams(const std::set<CUstream_st*>& waiting) {
  std::vector<CUstream_st*> ready;
  for (CUstream_st* const stream : all_streams) {
    if (has_ready(stream) && waiting.count(stream) == 0) ready.push_back(stream);
  }
  return ready;
}

// Runs work until `done`, or until none goes on without other processes; half of the time one
// stream as far as it gets before any other. Whether it is done.
template <class Done>
bool run_until(CUstream_st* wanted, const Done& done) {
  if (done()) return true;
  std::optional<simt::DeviceWorks> works;
  CUstream_st* first = seed == 0 ? wanted : nullptr;
  if (seed > 0 && draw() % 2 == 0) {
    first = *std::next(all_streams.begin(), static_cast<int64_t>(draw() % all_streams.size()));
  }
  std::set<CUstream_st*> waiting;
  while (!done()) {
    const std::vector<CUstream_st*> ready = ready_streams(waiting);
    if (ready.empty() && waiting.empty()) {
      throw simt::Error("streams wait for each other for ever");
    }
    if (ready.empty()) return false;
    const bool firsts_turn = std::find(ready.begin(), ready.end(), first) != ready.end();
    CUstream_st* const stream = firsts_turn ? first : ready[simt::any_of(ready.size())];
    if (const simt::Work& next = stream->work.front(); next.run && !next.asks && !works) {
      works.emplace();
    }
    if (advance(stream)) {
      waiting.clear();
    } else {
      waiting.insert(stream);
    }
  }
  return true;
}

// Other ranks are to get on meanwhile, with which this one may share a core.
void leave_the_core() {
  std::this_thread::sleep_for(std::chrono::microseconds(50));
}

template <class Done>
void wait_until(CUstream_st* wanted, const Done& done) {
  while (!run_until(wanted, done)) leave_the_core();
}

void finish(CUstream_st* stream) {
  wait_until(stream, [&] { return stream->work.empty(); });
}

// As a GPU that has nothing else to do.
void perhaps_run_some() {
  constexpr uint64_t kCalls = 8;  // it does so at one in as many, under every other seed
  constexpr uint64_t kMost = 32;
  if (seed % 2 == 0 || draw() % kCalls != 0) return;
  uint64_t left = draw() % kMost;
  run_until(nullptr, [&] { return left-- == 0 || ready_streams({}).empty(); });
}

bool known(cudaStream_t stream) {
  return all_streams.count(stream) > 0;  // the null stream is not
}

cudaError_t queue(CUstream_st* stream, simt::Work work) {
  stream->work.push_back(std::move(work));
  perhaps_run_some();
  return cudaSuccess;
}

simt::EventState state_of(cudaEvent_t event) {
  for (const simt::EventState& of : all_events) {
    if (of.get() == event) return of;
  }
  return nullptr;
}

}  // namespace

namespace simt {

std::set<CUstream_st*>& streams() {
  return all_streams;
}
std::vector<EventState>& events() {
  return all_events;
}
size_t any_of(size_t count) {
  return seed == 0 ? 0 : draw() % count;
}

void set_stream_schedule(uint64_t wanted) {
  seed = wanted;
  random_state = wanted * 0x9e3779b97f4a7c15u | 1;
}

void finish_all_streams() {
  wait_until(nullptr, [] {
    bool empty = true;
    for (const CUstream_st* const stream : all_streams) empty = empty && stream->work.empty();
    return empty;
  });
}

cudaError_t enqueue_until(cudaStream_t stream, std::function<bool()> ended) {
  const InsideDouble inside;
  if (!known(stream)) return cudaErrorInvalidResourceHandle;
  if (stream->graph != nullptr) return cudaErrorStreamCaptureUnsupported;
  std::function<bool()> copy = ended;  // the caller's lies in memory of the host
  return queue(stream, {.run = std::move(copy), .asks = true});
}

cudaError_t runtime::enqueue(cudaStream_t stream, std::function<void()> work) {
  const InsideDouble inside;
  if (!known(stream)) return cudaErrorInvalidResourceHandle;
  std::function<void()> copy = work;
  if (stream->graph != nullptr) {
    record_node(stream, std::move(copy));
    return cudaSuccess;
  }
  return queue(stream, {.run = [copy = std::move(copy)] {
                 copy();
                 return true;
               }});
}

}  // namespace simt

extern "C" {

// No streams but such as do not wait for the null stream.
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const simt::InsideDouble inside;
  if (flags != cudaStreamNonBlocking) return cudaErrorInvalidValue;
  *stream = new CUstream_st;
  all_streams.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const simt::InsideDouble inside;
  ++simt::runtime_calls().waits;
  if (!known(stream)) return cudaErrorInvalidResourceHandle;
  if (stream->graph != nullptr) return cudaErrorStreamCaptureUnsupported;
  finish(stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const simt::InsideDouble inside;
  if (!known(stream)) return cudaErrorInvalidResourceHandle;
  finish(stream);
  all_streams.erase(stream);
  delete stream;
  return cudaSuccess;
}

// A stream that waits for a place in a graph that is being recorded becomes part of it.
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const simt::InsideDouble inside;
  const simt::EventState state = state_of(event);
  if (!known(stream) || state == nullptr) return cudaErrorInvalidResourceHandle;
  if (stream->graph != nullptr && state->graph != stream->graph) {
    return cudaErrorStreamCaptureIsolation;
  }
  if (state->graph == nullptr) return queue(stream, {.awaited = state, .turn = state->recorded});
  if (stream->graph == nullptr) stream->after.clear();
  stream->graph = state->graph;
  stream->after.push_back(state->node);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  const simt::InsideDouble inside;
  all_events.push_back(std::make_shared<CUevent_st>());
  *event = all_events.back().get();
  (*event)->with_time = (flags & cudaEventDisableTiming) == 0;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const simt::InsideDouble inside;
  const simt::EventState state = state_of(event);
  if (state == nullptr) return cudaErrorInvalidResourceHandle;
  std::erase(all_events, state);
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const simt::InsideDouble inside;
  const simt::EventState state = state_of(event);
  if (!known(stream) || state == nullptr) return cudaErrorInvalidResourceHandle;
  state->graph = stream->graph;
  if (stream->graph != nullptr) {
    state->node = simt::record_node(stream, [] {});
    return cudaSuccess;
  }
  return queue(stream, {.recorded = state, .turn = ++state->recorded});
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const simt::InsideDouble inside;
  const simt::EventState state = state_of(event);
  if (state == nullptr) return cudaErrorInvalidResourceHandle;
  if (state->graph != nullptr) return cudaErrorCapturedEvent;
  const int64_t turn = state->recorded;
  const bool reached = run_until(nullptr, [&] { return state->reached >= turn; });
  if (!reached) leave_the_core();
  return reached ? cudaSuccess : cudaErrorNotReady;
}

// Asks for no place that was not reached: that work would have no time yet. A record in a graph has
// none at all.
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  const simt::InsideDouble inside;
  const simt::EventState first = state_of(from), last = state_of(to);
  if (first == nullptr || last == nullptr) return cudaErrorInvalidResourceHandle;
  for (const simt::EventState& of : {first, last}) {
    if (!of->with_time || of->recorded == 0) return cudaErrorInvalidResourceHandle;
    if (of->graph != nullptr) return cudaErrorCapturedEvent;
    if (of->reached < of->recorded) return cudaErrorNotReady;
  }
  *milliseconds = static_cast<float>(1e3 * (last->at - first->at));
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const simt::InsideDouble inside;
  ++simt::runtime_calls().waits;
  const simt::EventState state = state_of(event);
  if (state == nullptr) return cudaErrorInvalidResourceHandle;
  if (state->graph != nullptr) return cudaErrorCapturedEvent;
  const int64_t turn = state->recorded;
  wait_until(nullptr, [&] { return state->reached >= turn; });
  return cudaSuccess;
}

}  // extern "C"
