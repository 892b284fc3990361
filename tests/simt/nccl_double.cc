// Double of the NCCL calls that engine/comm/nccl.cc makes, on top of MPI: a library of the same
// name that tests load in its place. As NCCL does not, it says when ranks ask for different
// reductions; as NCCL does, it then never ends them. Sums are taken in the order of ranks, so all
// get the same bits. In a graph it takes none: whether NCCL does hangs on its version.
#include "tests/simt/nccl_double.h"

#include <mpi.h>
#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include "tests/simt/cuda_double.h"
#include "tests/simt/runtime.h"

namespace {

simt::NcclFault fault;
simt::NcclMemory memory_known;

// By handle.
struct Registration {
  ncclComm_t communicator;
  const char* first;
  size_t bytes;
};
std::map<void*, Registration> registrations;

bool registered(const void* address) {
  const char* const at = static_cast<const char*>(address);
  return std::any_of(registrations.begin(), registrations.end(), [&](const auto& of) {
    return at >= of.second.first && at < of.second.first + of.second.bytes;
  });
}

bool done(MPI_Request& request) {
  int ended = 0;
  MPI_Test(&request, &ended, MPI_STATUS_IGNORE);
  return ended != 0;
}

// Late ranks come after a while, absent ones never.
class Arrival {
 public:
  explicit Arrival(int64_t at) : kind_(fault.at == at ? fault.kind : simt::NcclFault::none) {}
  simt::NcclFault::Kind kind() const { return kind_; }
  bool came() const {
    if (kind_ == simt::NcclFault::absent || kind_ == simt::NcclFault::error) return false;
    const std::chrono::duration<double> since = std::chrono::steady_clock::now() - began_;
    return kind_ == simt::NcclFault::none || since.count() > simt::kLateSeconds;
  }

 private:
  simt::NcclFault::Kind kind_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

size_t bytes_of(ncclDataType_t type) {
  return type == ncclFloat32 ? 4 : 8;
}

template <class T>
void reduce(const char* all, int ranks, size_t count, ncclRedOp_t how, void* to) {
  std::vector<T> of_rank(count), result(count);
  for (int rank = 0; rank < ranks; ++rank) {
    std::memcpy(of_rank.data(), all + static_cast<size_t>(rank) * count * sizeof(T),
                count * sizeof(T));
    for (size_t i = 0; i < count; ++i) {
      if (rank == 0) {
        result[i] = of_rank[i];
      } else {
        result[i] = how == ncclMax ? std::max(result[i], of_rank[i]) : result[i] + of_rank[i];
      }
    }
  }
  std::memcpy(to, result.data(), count * sizeof(T));
}

}  // namespace

struct ncclComm {
  int ranks = 0;
  ncclResult_t state = ncclInProgress;
  MPI_Comm world = MPI_COMM_NULL;  // its own messages
  MPI_Request starting = MPI_REQUEST_NULL;
  Arrival arrival{0};
  int64_t asked = 0;  // reductions
  int64_t ended = 0;
  bool aborted = false;
  int64_t looks_left = 0;  // at its state until the last group is on its streams

  // Whether the last group is not yet on its streams.
  bool launches();

  void advance_start() {
    if (state != ncclInProgress) return;
    if (arrival.kind() == simt::NcclFault::error) state = ncclSystemError;
    if (!arrival.came()) return;
    if (world == MPI_COMM_NULL) MPI_Comm_idup(MPI_COMM_WORLD, &world, &starting);
    if (done(starting)) state = ncclSuccess;
  }
};

namespace {

// Of a group.
struct Call {
  ncclComm* communicator;
  void* values;
  size_t count;
  ncclDataType_t type;
  ncclRedOp_t how;
  cudaStream_t stream;
};

class Reduction {
 public:
  // `together`: reductions of its group.
  Reduction(const Call& call, int64_t together)
      : communicator_(call.communicator),
        values_(call.values),
        mine_{++communicator_->asked, static_cast<int64_t>(call.count), call.type, call.how,
              together},
        all_(static_cast<size_t>(communicator_->ranks)),
        arrival_(mine_.number) {}

  // Whether it has ended.
  bool advance() {
    if (communicator_->aborted || communicator_->ended >= mine_.number) return true;
    if (communicator_->ended + 1 != mine_.number || communicator_->state != ncclSuccess) {
      return false;
    }
    if (arrival_.kind() == simt::NcclFault::error) communicator_->state = ncclRemoteError;
    if (!arrival_.came()) return false;
    switch (stage_) {
      case 0:
        MPI_Iallgather(&mine_, sizeof(mine_), MPI_BYTE, all_.data(), sizeof(mine_), MPI_BYTE,
                       communicator_->world, &request_);
        stage_ = 1;
        [[fallthrough]];
      case 1:
        if (!done(request_)) return false;
        if (!std::all_of(all_.begin(), all_.end(), [&](const Wanted& of) { return of == mine_; })) {
          communicator_->state = ncclInvalidUsage;
          return false;
        }
        send();
        stage_ = 2;
        [[fallthrough]];
      default:
        if (!done(request_)) return false;
        receive();
        sent_ = {};
        received_ = {};
        ++communicator_->ended;
        return true;
    }
  }

 private:
  // What all ranks must ask for alike.
  struct Wanted {
    int64_t number;
    int64_t count;
    int64_t type;
    int64_t how;
    int64_t together;
    bool operator==(const Wanted&) const = default;
  };

  void send() {
    const size_t bytes = static_cast<size_t>(mine_.count) * bytes_of(type());
    sent_.resize(bytes);
    received_.resize(bytes * all_.size());
    {
      const simt::DeviceWorks works;
      std::memcpy(sent_.data(), values_, bytes);
    }
    MPI_Iallgather(sent_.data(), static_cast<int>(bytes), MPI_BYTE, received_.data(),
                   static_cast<int>(bytes), MPI_BYTE, communicator_->world, &request_);
  }
  void receive() {
    const auto reduce_as = type() == ncclFloat32   ? reduce<float>
                           : type() == ncclFloat64 ? reduce<double>
                                                   : reduce<int64_t>;
    const simt::DeviceWorks works;
    reduce_as(received_.data(), communicator_->ranks, static_cast<size_t>(mine_.count),
              static_cast<ncclRedOp_t>(mine_.how), values_);
  }
  ncclDataType_t type() const { return static_cast<ncclDataType_t>(mine_.type); }

  ncclComm* communicator_;
  void* values_;
  Wanted mine_;
  std::vector<Wanted> all_;
  Arrival arrival_;
  int stage_ = 0;
  MPI_Request request_ = MPI_REQUEST_NULL;
  std::vector<char> sent_;
  std::vector<char> received_;
};

// Never given up: of a reduction that was aborted, messages may still arrive.
std::list<ncclComm> communicators;
std::list<Reduction> reductions;

bool in_group = false;
std::vector<Call> group;
constexpr int64_t kLooks = 3;

void put_on_streams() {
  for (const Call& call : group) {
    if (fault.kind == simt::NcclFault::dropped && fault.at == call.communicator->asked + 1) {
      call.communicator->state = ncclRemoteError;
      break;
    }
    Reduction* const reduction = &reductions.emplace_back(call, std::ssize(group));
    if (simt::enqueue_until(call.stream, [reduction] { return reduction->advance(); }) !=
        cudaSuccess) {
      call.communicator->state = ncclUnhandledCudaError;
    }
  }
  group.clear();
}

}  // namespace

bool ncclComm::launches() {
  if (looks_left == 0) return false;
  if (--looks_left == 0) put_on_streams();
  return looks_left > 0;
}

namespace simt {

NcclFault& nccl_fault() {
  return fault;
}
NcclMemory& nccl_memory() {
  memory_known.registered = static_cast<int64_t>(registrations.size());
  return memory_known;
}

}  // namespace simt

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = simt::kNcclDoubleVersion;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::memset(id, 1, sizeof(*id));
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* communicator, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  const simt::InsideDouble inside;
  int mpi_rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &mpi_rank);
  ncclUniqueId wanted;
  ncclGetUniqueId(&wanted);
  if (config->blocking != 0 || rank != mpi_rank || std::memcmp(&id, &wanted, sizeof(id)) != 0) {
    return ncclInvalidArgument;
  }
  communicators.emplace_back().ranks = ranks;
  *communicator = &communicators.back();
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t communicator, ncclResult_t* state) {
  const simt::InsideDouble inside;
  communicator->advance_start();
  *state = communicator->launches() ? ncclInProgress : communicator->state;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t communicator) {
  communicator->aborted = true;
  memory_known.mistakes += std::erase_if(
      registrations, [&](const auto& of) { return of.second.communicator == communicator; });
  return ncclSuccess;
}

ncclResult_t ncclMemAlloc(void** address, size_t bytes) {
  return cudaMalloc(address, bytes) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

ncclResult_t ncclMemFree(void* address) {
  memory_known.mistakes += registered(address);
  return cudaFree(address) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

ncclResult_t ncclCommRegister(const ncclComm_t communicator, void* address, size_t bytes,
                              void** handle) {
  const simt::InsideDouble inside;
  const char* const first = static_cast<const char*>(address);
  if (bytes == 0 || !simt::is_device_memory(first) || !simt::is_device_memory(first + bytes - 1) ||
      registered(first) || registered(first + bytes - 1) || communicator->state != ncclSuccess ||
      communicator->aborted) {
    return ncclInvalidArgument;
  }
  ++memory_known.registrations;
  *handle = address;
  registrations[*handle] = {communicator, first, bytes};
  return ncclSuccess;
}

ncclResult_t ncclCommDeregister(const ncclComm_t communicator, void* handle) {
  const auto found = registrations.find(handle);
  if (found == registrations.end() || found->second.communicator != communicator) {
    return ncclInvalidArgument;
  }
  registrations.erase(found);
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  in_group = true;
  return ncclSuccess;
}

// Some looks at the state later the reductions are on their streams (ncclComm::launches()).
ncclResult_t ncclGroupEnd() {
  if (!in_group) return ncclInvalidUsage;
  in_group = false;
  if (group.empty()) return ncclSuccess;
  ncclComm* const communicator = group.front().communicator;
  communicator->looks_left = kLooks;
  return ncclInProgress;
}

ncclResult_t ncclAllReduce(const void* from, void* to, size_t count, ncclDataType_t type,
                           ncclRedOp_t how, ncclComm_t communicator, cudaStream_t stream) {
  const simt::InsideDouble inside;
  const char* const last = static_cast<char*>(to) + count * bytes_of(type) - 1;
  if (from != to || count == 0 ||
      (type != ncclFloat32 && type != ncclFloat64 && type != ncclInt64) ||
      (how != ncclSum && how != ncclMax) || !simt::is_device_memory(to) ||
      !simt::is_device_memory(last)) {
    return ncclInvalidArgument;
  }
  if (communicator->aborted || communicator->state != ncclSuccess) return ncclInvalidUsage;
  // The engine groups all, and waits until a group is on its streams.
  if (simt::records_graph() || !in_group || communicator->looks_left > 0) return ncclInvalidUsage;
  memory_known.sums += registered(to) && registered(last);
  group.push_back({communicator, to, count, type, how, stream});
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    default:
      return "error of the double of NCCL";
  }
}

}  // extern "C"
