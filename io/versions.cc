#include "io/versions.h"

#include <hdf5.h>

#include "io/cluster_fit.h"
#include "io/codec.h"
#include "io/digest.h"
#include "io/hdf5_handle.h"
#include "kernels/base/text.h"

namespace alm::io {

std::vector<std::pair<std::string, std::string>> library_versions() {
  unsigned major = 0, minor = 0, release = 0;
  const Hdf5Session session;
  H5get_libversion(&major, &minor, &release);
  std::vector<std::pair<std::string, std::string>> versions = codec_versions();
  versions.insert(versions.begin(), {"HDF5", format("%u.%u.%u", major, minor, release)});
  versions.emplace_back("SHA-256", digest_library());
  versions.emplace_back("FAISS", k_means_version());
  return versions;
}

}  // namespace alm::io
