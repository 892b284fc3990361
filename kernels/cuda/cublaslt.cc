// The only file that includes cublasLt.h. The library is loaded when a GPU is made ready: the
// program starts where there is none.
//
// cuBLASLt's matrices are column-major. A row-major [r, c] is a column-major [c, r] of the same
// leading dimension, so what is asked for is result^T = op(right)^T op(left)^T: its A is our right
// factor, its B our left one, and a bias runs along the rows of its result.
#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <map>

#include "kernels/base/check.h"
#include "kernels/base/dynamic_library.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"
#include "kernels/cuda/library_products.h"
#include "kernels/gpu_versions.h"

namespace alm::cuda {
namespace {

std::string version_text(size_t version) {
  return format("%zu.%zu.%zu", version / 10000, version / 100 % 100, version % 100);
}

// Where the library has an obstacle, some of the rest is null.
struct Library {
  // Enumerators may change with the major version: that of the header, no other.
  DynamicLibrary file{"cuBLASLt", "libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR)};
  decltype(&cublasLtGetVersion) version = nullptr;
  decltype(&cublasLtGetStatusString) status_string = nullptr;
  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtDestroy) destroy = nullptr;
  decltype(&cublasLtMatmulDescCreate) create_operation = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) set_operation = nullptr;
  decltype(&cublasLtMatmulDescDestroy) destroy_operation = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) create_layout = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) create_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) find_algorithm = nullptr;
  decltype(&cublasLtMatmul) multiply = nullptr;

  Library() {
    file.find("cublasLtGetVersion", version);
    file.find("cublasLtGetStatusString", status_string);
    file.find("cublasLtCreate", create);
    file.find("cublasLtDestroy", destroy);
    file.find("cublasLtMatmulDescCreate", create_operation);
    file.find("cublasLtMatmulDescSetAttribute", set_operation);
    file.find("cublasLtMatmulDescDestroy", destroy_operation);
    file.find("cublasLtMatrixLayoutCreate", create_layout);
    file.find("cublasLtMatrixLayoutDestroy", destroy_layout);
    file.find("cublasLtMatmulPreferenceCreate", create_preference);
    file.find("cublasLtMatmulPreferenceSetAttribute", set_preference);
    file.find("cublasLtMatmulPreferenceDestroy", destroy_preference);
    file.find("cublasLtMatmulAlgoGetHeuristic", find_algorithm);
    file.find("cublasLtMatmul", multiply);
  }
};

const Library& library() {
  static const Library loaded;
  return loaded;
}

void check_library(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw MachineError(std::string("cuBLASLt, ") + what + ": " + library().status_string(status));
}

// Which of the library's objects it destroys, and how.
struct Destroy {
  void operator()(cublasLtMatmulDescOpaque_t* of) const { library().destroy_operation(of); }
  void operator()(cublasLtMatrixLayoutOpaque_t* of) const { library().destroy_layout(of); }
  void operator()(cublasLtMatmulPreferenceOpaque_t* of) const { library().destroy_preference(of); }
};
template <class Opaque>
using Owned = std::unique_ptr<Opaque, Destroy>;
using Operation = Owned<cublasLtMatmulDescOpaque_t>;
using MatrixLayout = Owned<cublasLtMatrixLayoutOpaque_t>;
using Preference = Owned<cublasLtMatmulPreferenceOpaque_t>;

template <class Value>
void set(const Operation& operation, cublasLtMatmulDescAttributes_t what, Value value) {
  check_library(library().set_operation(operation.get(), what, &value, sizeof value), "settings");
}
template <class Value>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t what, Value value) {
  check_library(library().set_preference(preference.get(), what, &value, sizeof value), "settings");
}

cudaDataType type_of(Precision precision) {
  return precision == Precision::bf16 ? CUDA_R_16BF : CUDA_R_32F;
}

MatrixLayout layout_of(const MixedMatrix<const float>& m) {
  cublasLtMatrixLayout_t made = nullptr;
  check_library(library().create_layout(&made, type_of(m.precision), static_cast<uint64_t>(m.cols),
                                        static_cast<uint64_t>(m.rows), m.stride),
                "a matrix");
  return MatrixLayout(made);
}

// Of an address, in bytes, as far as it matters. Null: of memory that is allocated later.
uint32_t alignment_of(const void* address) {
  constexpr uintptr_t kMost = 16;  // more is of no use, and not the same from step to step
  const uintptr_t at = reinterpret_cast<uintptr_t>(address) | kMost;
  return static_cast<uint32_t>(at & (~at + 1));
}

cublasLtEpilogue_t epilogue_of(const LibraryProduct& p) {
  if (p.sums_of_right != nullptr) return CUBLASLT_EPILOGUE_BGRADA;
  if (p.bias == nullptr) return p.relu ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT;
  return p.relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
}

const void* vector_of(const LibraryProduct& p) {
  return p.sums_of_right != nullptr ? p.sums_of_right : p.bias;
}

MixedMatrix<const float> addend_of(const LibraryProduct& p) {
  return p.addend.data != nullptr ? p.addend : MixedMatrix<const float>(p.result);
}

// All that the choice of an algorithm hangs on.
using Key = std::array<int64_t, 17>;
Key key_of(const LibraryProduct& p) {
  const MixedMatrix<const float> addend = addend_of(p);
  return {p.result.rows,
          p.result.cols,
          p.left_transposed ? p.left.rows : p.left.cols,
          p.left_transposed,
          p.right_transposed,
          p.left.precision == Precision::bf16,
          p.result.precision == Precision::bf16,
          p.left.stride,
          p.right.stride,
          p.result.stride,
          addend.stride,
          epilogue_of(p),
          alignment_of(p.left.data),
          alignment_of(p.right.data),
          alignment_of(p.result.data),
          alignment_of(addend.data),
          alignment_of(vector_of(p))};
}

struct Plan {
  Operation operation;
  MatrixLayout a, b, c, d;
  bool found = false;  // an algorithm was
  cublasLtMatmulAlgo_t algorithm{};
};

void point_to(const Plan& plan, const void* vector) {
  if (vector != nullptr) set(plan.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector);
}

Preference preference_for(const LibraryProduct& p, int64_t workspace_bytes) {
  cublasLtMatmulPreference_t made = nullptr;
  check_library(library().create_preference(&made), "settings");
  Preference preference(made);
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(workspace_bytes));
  // No sums of parts of the depth in the result's type: it may be bf16.
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(p.right.data));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(p.left.data));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(addend_of(p).data));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(p.result.data));
  return preference;
}

class CublasLt final : public LibraryProducts {
 public:
  explicit CublasLt(int64_t workspace_bytes) : workspace_bytes_(workspace_bytes) {
    check_library(library().create(&handle_), "start");
  }
  ~CublasLt() override { library().destroy(handle_); }
  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;

  std::string name() const override { return "cuBLASLt " + version_text(library().version()); }

  int64_t workspace_bytes() const override { return workspace_bytes_; }

  bool has(const LibraryProduct& p) override { return plan_for(p).found; }

  void run(cudaStream_t stream, const LibraryProduct& p, void* workspace) override {
    const Plan& plan = plan_for(p);
    ALM_CHECK(plan.found);
    point_to(plan, vector_of(p));
    const float beta = p.addend.data != nullptr ? 1.0f : 0.0f;
    check_library(
        library().multiply(handle_, plan.operation.get(), &p.alpha, p.right.data, plan.a.get(),
                           p.left.data, plan.b.get(), &beta, addend_of(p).data, plan.c.get(),
                           p.result.data, plan.d.get(), &plan.algorithm, workspace,
                           static_cast<size_t>(workspace_bytes_), stream),
        "product");
  }

 private:
  const Plan& plan_for(const LibraryProduct& p) {
    const Key key = key_of(p);
    const auto known = plans_.find(key);
    return known != plans_.end() ? known->second : plans_.emplace(key, make_plan(p)).first->second;
  }

  Plan make_plan(const LibraryProduct& p) {
    Plan plan;
    cublasLtMatmulDesc_t operation = nullptr;
    check_library(library().create_operation(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                  "a product");
    plan.operation.reset(operation);
    const auto way = [](bool transposed) {
      return int32_t{transposed ? CUBLAS_OP_T : CUBLAS_OP_N};
    };
    set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSA, way(p.right_transposed));
    set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSB, way(p.left_transposed));
    set(plan.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, uint32_t{epilogue_of(p)});
    // An address of no better alignment than is promised.
    if (vector_of(p) != nullptr) {
      point_to(plan, reinterpret_cast<const void*>(uintptr_t{alignment_of(vector_of(p))}));
    }
    plan.a = layout_of(p.right);
    plan.b = layout_of(p.left);
    plan.c = layout_of(addend_of(p));
    plan.d = layout_of(p.result);
    const Preference preference = preference_for(p, workspace_bytes_);
    cublasLtMatmulHeuristicResult_t best{};
    int found = 0;
    const cublasStatus_t status =
        library().find_algorithm(handle_, plan.operation.get(), plan.a.get(), plan.b.get(),
                                 plan.c.get(), plan.d.get(), preference.get(), 1, &best, &found);
    plan.found =
        status == CUBLAS_STATUS_SUCCESS && found == 1 && best.state == CUBLAS_STATUS_SUCCESS;
    plan.algorithm = best.algo;
    if (!plan.found) {
      log_info(format("%s has no code for a product of %lld x %lld x %lld in %s%s", name().c_str(),
                      static_cast<long long>(p.result.rows),
                      static_cast<long long>(p.left_transposed ? p.left.rows : p.left.cols),
                      static_cast<long long>(p.result.cols),
                      p.left.precision == Precision::bf16 ? "bf16" : "fp32",
                      p.sums_of_right != nullptr ? " that sums columns, too" : ""));
    }
    return plan;
  }

  const int64_t workspace_bytes_;
  cublasLtHandle_t handle_ = nullptr;
  std::map<Key, Plan> plans_;
};

}  // namespace

std::unique_ptr<LibraryProducts> make_library_products(int64_t workspace_bytes,
                                                       std::string& why_not) {
  why_not = library().file.obstacle();
  if (!why_not.empty()) return nullptr;
  try {
    return std::make_unique<CublasLt>(workspace_bytes);
  } catch (const MachineError& error) {
    why_not = error.what();
    return nullptr;
  }
}

}  // namespace alm::cuda

namespace alm {

std::string cublaslt_versions() {
  const cuda::Library& library = cuda::library();
  return library.file.versions(
      cuda::version_text(CUBLAS_VERSION),
      library.version != nullptr ? cuda::version_text(library.version()) : "");
}

}  // namespace alm
