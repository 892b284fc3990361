// What the program was built with for talk between ranks and what of that it finds on this machine,
// in words. Does not throw: that there is nothing is an answer.
#pragma once

#include <string>

namespace alm {

// "Open MPI 4.1.4", whether or not it was started; or "not built in".
std::string mpi_version();
// "built with 2.27.7, found 2.28.3"; loads the library.
std::string nccl_versions();

}  // namespace alm
