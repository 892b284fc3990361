#include "engine/simulate/shape.h"

#include "kernels/base/check.h"

namespace alm {

LogShape shape_by_name(const std::string& name) {
  LogShape shape;
  if (name == "tiny") return shape;
  shape.dense = 16;
  shape.cat = 8;
  shape.touch_dense = 4;
  shape.items = 1000000;
  shape.clusters = 1000;
  shape.max_touches = 16;
  shape.extra_touches = 4;
  if (name == "reference") return shape;
  shape.max_touches = kMostTouches;
  shape.extra_touches = 19;
  if (name == "paper") return shape;
  throw UserError("--shape '" + name + "' is not one of tiny, reference, paper");
}

}  // namespace alm
