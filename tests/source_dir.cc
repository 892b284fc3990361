#include "tests/source_dir.h"

namespace alm {

std::string source_dir() {
  return ALM_SOURCE_DIR;
}

}  // namespace alm
