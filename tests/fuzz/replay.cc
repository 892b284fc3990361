// usage: fuzz_NAME [CASES] | fuzz_NAME FILE...
// Runs the seeds of a fuzz target, then CASES (default 2,000) random changes of them; or the inputs
// in the files, such as those that the coverage-guided fuzzer saved. Not coverage-guided: it keeps
// the targets alive where no clang is, under every compiler and sanitizer.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "kernels/base/rng.h"
#include "tests/fuzz/target.h"

namespace alm::fuzz {
namespace {

std::string changed(const std::vector<std::string>& seeds, Rng rng) {
  std::string text = seeds[rng.below(seeds.size())];
  const auto place = [&] { return rng.below(text.size() + 1); };
  for (uint64_t change = 1 + rng.below(4); change > 0; --change) {
    const size_t at = place();
    switch (rng.below(5)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << rng.below(8)));
        break;
      case 1:
        if (at < text.size()) text[at] = static_cast<char>(rng.below(256));
        break;
      case 2:
        text.erase(at, rng.below(20));
        break;
      case 3: {
        const size_t count = 1 + rng.below(8);
        text.insert(at, count, static_cast<char>(rng.below(256)));
        break;
      }
      default: {
        const std::string& other = seeds[rng.below(seeds.size())];
        const size_t from = rng.below(other.size() + 1);
        const size_t replaced = rng.below(40);
        text.replace(at, replaced, other, from, rng.below(40));
      }
    }
  }
  return text;
}

int run(const std::vector<std::string>& arguments) {
  char* end = nullptr;
  const bool named = !arguments.empty();
  const int64_t cases = named ? std::strtoll(arguments[0].c_str(), &end, 10) : 2000;
  if (named && *end != '\0') {
    for (const std::string& path : arguments) {
      std::ifstream file(path, std::ios::binary);
      run_guarded(std::string{std::istreambuf_iterator<char>(file), {}});
    }
    std::printf("%zu inputs of files\n", arguments.size());
    return 0;
  }
  const std::vector<std::string> all = seeds();
  for (const std::string& seed : all) run_guarded(seed);
  for (int64_t number = 0; number < cases; ++number) {
    run_guarded(changed(all, Rng(1, Stream::test, static_cast<uint64_t>(number))));
  }
  std::printf("%zu seeds and %lld changes of them\n", all.size(), static_cast<long long>(cases));
  return 0;
}

}  // namespace
}  // namespace alm::fuzz

int main(int argc, char** argv) {
  return alm::fuzz::run({argv + 1, argv + argc});
}
