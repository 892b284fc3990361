#include "io/hdf5_handle.h"

#include <hdf5.h>

#include <type_traits>

#include "io/json.h"

namespace alm::io {

static_assert(std::is_same_v<hid_t, int64_t> && std::is_same_v<herr_t, int>);

namespace {

std::mutex& hdf5_mutex() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

Hdf5Session::Hdf5Session() : lock_(hdf5_mutex()) {
  // All we open we close. HDF5's own closing at exit, after a damaged file, may find no end and
  // says so on the standard error.
  static const bool leaves_exit_alone = H5dont_atexit() >= 0;
  static_cast<void>(leaves_exit_alone);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

std::string hdf5_error() {
  std::string text;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned number, const H5E_error2_t* error, void* out) -> herr_t {
        if (number == 0 && error->desc != nullptr) *static_cast<std::string*>(out) = error->desc;
        return 0;
      },
      &text);
  return text.empty() ? "HDF5 gives no reason" : one_line(text);
}

Hdf5Id hdf5_open(const std::string& path) {
  // Made once: closing it here would clear the errors of opening the file.
  static const hid_t access = [] {
    const hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_file_locking(list, false, true);
    return list;
  }();
  return Hdf5Id(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
}

}  // namespace alm::io
