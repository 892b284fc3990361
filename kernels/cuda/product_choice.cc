#include "kernels/cuda/product_choice.h"

#include "kernels/base/text.h"

namespace alm::cuda {

std::string choice_text(const ProductChoice& choice, Precision precision,
                        const std::string& library, const std::string& why_not) {
  std::string text = "products: ";
  if (precision == Precision::bf16) {
    text += format("touch heads up to %lld wide in one kernel, ",
                   static_cast<long long>(kWidestFusedHead));
  }
  const long long from = choice.library_from(precision);
  if (library.empty()) return text + "all others by own kernels (" + why_not + ")";
  return text + format("layers of %lld x %lld and wider by %s, others by own kernels", from, from,
                       library.c_str());
}

}  // namespace alm::cuda
