// How well the kernels use memory, counted exactly: for every access of a warp the 32-byte sectors
// it touches and the passes it takes through the banks of shared memory. The kernels are compiled
// as for ThreadSanitizer, but linked with the callbacks below in its place, which see every load
// and store. Runs the performance cases, or as "step N" the ops of a training step on N journeys in
// bf16, and prints a line for each kernel, space and direction; and one with its launches, products
// of the tensor cores, and FLOPs.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <unordered_set>
#include <vector>

#include "kernels/cuda/queue.h"
#include "kernels/op_cases.h"
#include "tests/simt/bf16_reference.h"
#include "tests/simt/runtime.h"

namespace {

struct Access {
  void* instruction;
  uintptr_t address;
  size_t bytes;
  simt::Space space;
  bool store;
};

// Sums over the requests of a kernel; a request is one instruction of one warp.
struct Counts {
  int64_t units = 0;     // sectors, or passes
  int64_t least = 0;     // that many would do
  int64_t bytes = 0;     // distinct ones of a request
  int64_t distinct = 0;  // of sectors, counted once a launch
};

std::vector<std::vector<Access>> of_thread(1024);
std::map<std::tuple<std::string, simt::Space, bool>, Counts> counts;
struct Launched {
  int64_t launches = 0;
  double flops = 0;      // of ops without such products that it moves most of the memory of
  int64_t products = 0;  // of the tensor cores, 16 x 8 x 16
};
std::map<std::string, Launched> launched;
std::unordered_set<uintptr_t> touched[2];  // sectors, by direction, in this launch

constexpr uintptr_t kWord = 4;
constexpr uintptr_t kSector = 32;
constexpr int kBanks = 32;

bool counting = true;

void begin_launch() {
  if (!counting) return;
  for (auto& sectors : touched) sectors.clear();
  ++launched[simt::runtime::kernel()].launches;
}
void count_product() {
  if (counting) ++launched[simt::runtime::kernel()].products;
}

void count_global(const std::vector<Access>& request, Counts& sums) {
  // Sectors, and the bytes of each that are asked for as bits.
  static std::vector<std::pair<uintptr_t, uint32_t>> sectors;
  sectors.clear();
  for (const Access& access : request) {
    for (uintptr_t at = access.address; at < access.address + access.bytes; ++at) {
      const uintptr_t sector = at / kSector;
      auto found = std::find_if(sectors.rbegin(), sectors.rend(),
                                [&](const auto& one) { return one.first == sector; });
      if (found == sectors.rend()) {
        sectors.emplace_back(sector, 0u);
        found = sectors.rbegin();
      }
      found->second |= 1u << at % kSector;
    }
  }
  int64_t bytes = 0;
  for (const auto& [sector, mask] : sectors) {
    bytes += std::popcount(mask);
    if (touched[request[0].store].insert(sector).second) sums.distinct += int64_t{kSector};
  }
  sums.units += std::ssize(sectors);
  sums.least += (bytes + static_cast<int64_t>(kSector) - 1) / static_cast<int64_t>(kSector);
  sums.bytes += bytes;
}

// A pass serves one word of each bank, to as many lanes as want it. Wide accesses go by parts of
// the warp: 32 lanes of 4 bytes, 16 of 8, 8 of 16.
void count_shared(const std::vector<Access>& request, Counts& sums) {
  const size_t part = request[0].bytes >= 16 ? 8 : request[0].bytes >= 8 ? 16 : 32;
  for (size_t first = 0; first < request.size(); first += part) {
    std::array<std::set<uintptr_t>, kBanks> words;
    size_t most = 0;
    for (size_t i = first; i < std::min(first + part, request.size()); ++i) {
      for (uintptr_t at = request[i].address; at < request[i].address + request[i].bytes;
           at += kWord) {
        std::set<uintptr_t>& bank = words[at / kWord % kBanks];
        bank.insert(at / kWord);
        most = std::max(most, bank.size());
      }
    }
    sums.units += static_cast<int64_t>(most);
    sums.least += 1;
  }
}

// Lanes meet in a request when they were at the same instruction equally often.
void end_block(unsigned threads) {
  constexpr unsigned kWarp = 32;
  for (unsigned first = 0; first < threads; first += kWarp) {
    std::map<std::tuple<void*, simt::Space, int64_t>, std::vector<Access>> requests;
    for (unsigned thread = first; thread < std::min(first + kWarp, threads); ++thread) {
      std::map<std::pair<void*, simt::Space>, int64_t> been;
      for (const Access& access : of_thread[thread]) {
        const int64_t visit = been[{access.instruction, access.space}]++;
        requests[{access.instruction, access.space, visit}].push_back(access);
      }
      of_thread[thread].clear();
    }
    for (const auto& [key, request] : requests) {
      const Access& one = request[0];
      Counts& sums = counts[{simt::runtime::kernel(), one.space, one.store}];
      if (one.space == simt::Space::global) {
        count_global(request, sums);
      } else {
        count_shared(request, sums);
      }
    }
  }
}

void seen(const volatile void* address, size_t bytes, bool store, void* instruction) {
  if (!counting) return;
  const simt::Space space = simt::runtime::space_of(const_cast<const void*>(address));
  if (space == simt::Space::none) return;
  of_thread[simt::runtime::thread_number()].push_back(
      {instruction, reinterpret_cast<uintptr_t>(address), bytes, space, store});
}

// A load like any other; the store to shared memory is seen as the kernel's own.
void seen_copy(const void* from, int bytes, void* instruction) {
  seen(from, static_cast<size_t>(bytes), false, instruction);
}

// The kernel whose global memory grew most since `before`.
std::string busiest_since(
    const std::map<std::tuple<std::string, simt::Space, bool>, Counts>& before) {
  std::map<std::string, int64_t> grown;
  for (const auto& [key, sums] : counts) {
    if (std::get<1>(key) != simt::Space::global) continue;
    const auto was = before.find(key);
    grown[std::get<0>(key)] += sums.units - (was == before.end() ? 0 : was->second.units);
  }
  return std::ranges::max_element(grown, {}, &std::pair<const std::string, int64_t>::second)->first;
}

int64_t products_so_far() {
  int64_t products = 0;
  for (const auto& [kernel, of] : launched) products += of.products;
  return products;
}

void run_case(const alm::OpCase& op_case, alm::Device& device, alm::Queue& queue) {
  alm::OpArguments arguments(op_case, device.activations());
  arguments.move_to(device, queue);
  if (!op_case.forward.empty()) {
    counting = false;
    alm::bind_op(op_case.forward, device.ops(), queue, arguments)();
    queue.wait();
    counting = true;
  }
  const auto before = counts;
  const int64_t products = products_so_far();
  alm::bind_op(op_case.op, device.ops(), queue, arguments)();
  queue.wait();
  if (products_so_far() == products) launched[busiest_since(before)].flops += op_case.flops;
}

void run_cases(const std::vector<alm::OpCase>& cases, alm::Precision precision,
               const std::function<bool(const std::string&)>& wanted) {
  const std::unique_ptr<alm::Device> device = alm::cuda::make_cuda_device(precision);
  const std::unique_ptr<alm::Queue> queue = device->make_queue();
  for (const alm::OpCase& op_case : cases) {
    if (wanted(op_case.op)) run_case(op_case, *device, *queue);
  }
}

}  // namespace

#define ALM_HERE __builtin_return_address(0)
#define ALM_ACCESSES(bytes)                      \
  void __tsan_read##bytes(void* at) {            \
    seen(at, bytes, false, ALM_HERE);            \
  }                                              \
  void __tsan_write##bytes(void* at) {           \
    seen(at, bytes, true, ALM_HERE);             \
  }                                              \
  void __tsan_unaligned_read##bytes(void* at) {  \
    seen(at, bytes, false, ALM_HERE);            \
  }                                              \
  void __tsan_unaligned_write##bytes(void* at) { \
    seen(at, bytes, true, ALM_HERE);             \
  }

extern "C" {
ALM_ACCESSES(1)
ALM_ACCESSES(2)
ALM_ACCESSES(4)
ALM_ACCESSES(8)
ALM_ACCESSES(16)
void __tsan_read_range(void* at, size_t bytes) {
  seen(at, bytes, false, ALM_HERE);
}
void __tsan_write_range(void* at, size_t bytes) {
  seen(at, bytes, true, ALM_HERE);
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void*, void*) {}
void __tsan_vptr_read(void*) {}
uint32_t __tsan_atomic32_load(const volatile uint32_t* at, int) {
  return *at;
}
// The kernels' atomics are all made of it.
int __tsan_atomic32_compare_exchange_strong(volatile uint32_t* at, uint32_t* expected,
                                            uint32_t wanted, int, int) {
  seen(at, sizeof *at, true, ALM_HERE);
  if (*at == *expected) {
    *at = wanted;
    return 1;
  }
  *expected = *at;
  return 0;
}
}

int main(int argc, char** argv) {
  simt::runtime::at_block_end = end_block;
  simt::runtime::at_copy = seen_copy;
  simt::runtime::at_launch = begin_launch;
  simt::runtime::at_product = count_product;
  if (argc == 3 && std::string(argv[1]) == "step") {
    run_cases(alm::step_cases(std::stoll(argv[2])), alm::Precision::bf16,
              [](const std::string&) { return true; });
  } else {
    const std::set<std::string> named(argv + 1, argv + argc);
    const auto wanted = [&](const std::string& op) { return named.empty() || named.count(op) > 0; };
    const std::vector<std::string> of_bf16 = alm::ops_with_bf16();
    const std::vector<alm::OpCase> cases = alm::performance_cases();
    run_cases(cases, alm::Precision::fp32, wanted);
    run_cases(cases, alm::Precision::bf16, [&](const std::string& op) {
      return wanted(op) && std::count(of_bf16.begin(), of_bf16.end(), op) > 0;
    });
  }
  for (const auto& [key, sums] : counts) {
    const auto& [kernel, space, store] = key;
    std::printf("%s\t%s\t%s\t%lld\t%lld\t%lld\t%lld\n", kernel.c_str(),
                space == simt::Space::global ? "global" : "shared", store ? "store" : "load",
                static_cast<long long>(sums.units), static_cast<long long>(sums.least),
                static_cast<long long>(sums.bytes), static_cast<long long>(sums.distinct));
  }
  for (const auto& [kernel, of] : launched) {
    std::printf("%s\tlaunches\t\t%lld\t%lld\t%.0f\t0\n", kernel.c_str(),
                static_cast<long long>(of.launches), static_cast<long long>(of.products), of.flops);
  }
  return 0;
}
