// The entrance of libFuzzer. `FUZZER --write-seeds DIR` writes the seeds as files and ends.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  alm::fuzz::run_guarded({reinterpret_cast<const char*>(data), bytes});
  return 0;
}

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc != 3 || std::string_view((*argv)[1]) != "--write-seeds") return 0;
  const std::filesystem::path folder = (*argv)[2];
  std::filesystem::create_directories(folder);
  const std::vector<std::string> seeds = alm::fuzz::seeds();
  for (size_t number = 0; number < seeds.size(); ++number) {
    std::ofstream(folder / ("seed-" + std::to_string(number)), std::ios::binary) << seeds[number];
  }
  std::exit(0);
}
