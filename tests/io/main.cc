// The tests read logs as the program does: HDF5 runs in a helper, which is this program once more.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "io/hdf5_child.h"
#include "io/hdf5_protocol.h"

namespace {

// What damaged metadata has been seen to do to HDF5, on request.
void misbehave(const std::string& how) {
  char byte = 0;
  if (::read(STDIN_FILENO, &byte, 1) != 1) return;
  if (how == "hang") ::pause();
  if (how == "crash") {
    std::signal(SIGSEGV, SIG_DFL);  // a sanitizer would end the process in its own way
    std::raise(SIGSEGV);
  }
  if (how == "babble") {
    const std::string nonsense(1000, alm::io::kDone);
    if (::write(STDIN_FILENO, nonsense.data(), nonsense.size()) > 0) ::pause();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const char* how = std::getenv("ALM_TEST_HELPER");
  if (how != nullptr && argc == 2 && std::string(argv[1]) == alm::io::kHelperArgument) {
    misbehave(how);
    return 0;
  }
  if (const auto code = alm::io::serve_hdf5(argc, argv)) return *code;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
