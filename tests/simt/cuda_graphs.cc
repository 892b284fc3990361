// Graphs of the double of the CUDA runtime: what is queued on a stream that records, and on those
// that join it by an event, is kept with what it follows, and runs when the graph is launched.
#include "kernels/cuda/simt.cuh"
#include "tests/simt/cuda_double.h"
#include "tests/simt/runtime.h"

// Nodes in the order of their recording, each after those it names.
struct CUgraph_st {
  struct Node {
    std::function<void()> run;
    std::vector<size_t> after;
  };
  std::vector<Node> nodes;
  cudaStream_t origin = nullptr;
};
struct CUgraphExec_st {
  std::shared_ptr<const CUgraph_st> graph;
};

namespace {

std::set<CUgraphExec_st*> executables;

// All nodes, in an order that keeps to what each follows.
void run_graph(const CUgraph_st& graph) {
  std::vector<bool> done(graph.nodes.size());
  while (true) {
    std::vector<size_t> ready;
    for (size_t node = 0; node < done.size(); ++node) {
      bool free = !done[node];
      for (const size_t before : graph.nodes[node].after) free = free && done[before];
      if (free) ready.push_back(node);
    }
    if (ready.empty()) return;
    const size_t next = ready[simt::any_of(ready.size())];
    graph.nodes[next].run();
    done[next] = true;
  }
}

// Which nodes come before the next of a stream.
std::vector<bool> nodes_before(const CUstream_st& stream) {
  const std::vector<CUgraph_st::Node>& nodes = stream.graph->nodes;
  std::vector<bool> before(nodes.size());
  for (const size_t node : stream.after) before[node] = true;
  for (size_t node = nodes.size(); node-- > 0;) {
    if (!before[node]) continue;
    for (const size_t of : nodes[node].after) before[of] = true;
  }
  return before;
}

}  // namespace

namespace simt {

bool records_graph() {
  for (const CUstream_st* const stream : streams()) {
    if (stream->graph != nullptr) return true;
  }
  return false;
}

size_t record_node(CUstream_st* stream, std::function<void()> run) {
  std::vector<CUgraph_st::Node>& nodes = stream->graph->nodes;
  nodes.push_back({std::move(run), stream->after});
  stream->after = {nodes.size() - 1};
  return nodes.size() - 1;
}

}  // namespace simt

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const simt::InsideDouble inside;
  if (simt::streams().count(stream) == 0 || stream->graph != nullptr) return cudaErrorIllegalState;
  stream->graph = new CUgraph_st;
  stream->graph->origin = stream;
  stream->after.clear();
  return cudaSuccess;
}

// The stream that began must have waited for those that joined it.
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const simt::InsideDouble inside;
  if (simt::streams().count(stream) == 0 || stream->graph == nullptr ||
      stream->graph->origin != stream) {
    return cudaErrorIllegalState;
  }
  *graph = stream->graph;
  const std::vector<bool> before = nodes_before(*stream);
  cudaError_t error = cudaSuccess;
  for (CUstream_st* const of : simt::streams()) {
    if (of->graph != *graph) continue;
    for (const size_t node : of->after) {
      if (of != stream && !before[node]) error = cudaErrorStreamCaptureUnjoined;
    }
    of->graph = nullptr;
  }
  for (const simt::EventState& event : simt::events()) {
    if (event->graph == *graph) event->graph = nullptr;
  }
  return error;
}

// As engines ask for their number alone.
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  if (nodes != nullptr) return cudaErrorInvalidValue;
  *count = graph->nodes.size();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  const simt::InsideDouble inside;
  ++simt::runtime_calls().graphs;
  *executable = new CUgraphExec_st{std::make_shared<const CUgraph_st>(*graph)};
  executables.insert(*executable);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const simt::InsideDouble inside;
  if (executables.count(executable) == 0) return cudaErrorInvalidResourceHandle;
  ++simt::runtime_calls().graph_launches;
  const std::shared_ptr<const CUgraph_st> graph = executable->graph;
  return simt::runtime::enqueue(stream, [graph] { run_graph(*graph); });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const simt::InsideDouble inside;
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  const simt::InsideDouble inside;
  if (executables.erase(executable) == 0) return cudaErrorInvalidResourceHandle;
  delete executable;
  return cudaSuccess;
}

}  // extern "C"
