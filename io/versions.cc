#include "io/versions.h"

#include <hdf5.h>

#include "kernels/base/text.h"

namespace alm::io {

std::vector<std::pair<std::string, std::string>> library_versions() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return {{"HDF5", format("%u.%u.%u", major, minor, release)}};
}

}  // namespace alm::io
