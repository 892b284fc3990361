// Arguments of a case in memory of their own types.
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/cases/builder.h"

namespace alm {
namespace {

using op_cases::size_of;
using Type = OpArray::Type;

// What lies between rows: NaN as a float, nonsense as anything else.
constexpr unsigned char kPadding = 0xff;

// To nearest, ties to even.
uint16_t bf16_of(float value) {
  if (std::isnan(value)) return 0x7fff;
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void put(Type type, unsigned char* at, double value) {
  const auto write = [&](auto typed) { std::memcpy(at, &typed, sizeof typed); };
  switch (type) {
    case Type::f32:
      return write(static_cast<float>(value));
    case Type::bf16:
      return write(bf16_of(static_cast<float>(value)));
    case Type::f64:
      return write(value);
    case Type::i64:
      return write(static_cast<int64_t>(value));
    case Type::u8:
      return write(static_cast<uint8_t>(value));
  }
}

double get(Type type, const unsigned char* at) {
  const auto read = [&](auto typed) {
    std::memcpy(&typed, at, sizeof typed);
    return static_cast<double>(typed);
  };
  switch (type) {
    case Type::f32:
      return read(float{});
    case Type::bf16: {
      const uint32_t bits = static_cast<uint32_t>(read(uint16_t{})) << 16;
      return std::bit_cast<float>(bits);
    }
    case Type::f64:
      return read(double{});
    case Type::i64:
      return read(int64_t{});
    default:
      return read(uint8_t{});
  }
}

}  // namespace

OpArguments::OpArguments(const OpCase& op_case, Precision activations) : scalars_(op_case.scalars) {
  for (const auto& [name, of_case] : op_case.arrays) {
    OpArray array = of_case;
    if (array.activation && activations == Precision::bf16) array.type = Type::bf16;
    const int64_t size = size_of(array.type);
    Slot slot{array, {}, nullptr};
    // One spare element keeps the pointer of an empty array non-null, as real callers' are.
    slot.memory.assign(static_cast<size_t>((array.rows * array.stride + 1) * size), kPadding);
    for (int64_t r = 0; r < array.rows; ++r) {
      for (int64_t c = 0; c < array.cols; ++c) {
        put(array.type, slot.memory.data() + (r * array.stride + c) * size,
            array.values[static_cast<size_t>(r * array.cols + c)]);
      }
    }
    slots_[name] = std::move(slot);
  }
}

unsigned char* OpArguments::Slot::view() {
  return on_device != nullptr ? static_cast<unsigned char*>(on_device.get()) : memory.data();
}

int64_t OpArguments::Slot::bytes_in_rows() const {
  if (shape.rows == 0) return 0;
  return ((shape.rows - 1) * shape.stride + shape.cols) * size_of(shape.type);
}

void OpArguments::move_to(Device& device, Queue& queue) {
  for (auto& [name, slot] : slots_) {
    const int64_t bytes = slot.bytes_in_rows();
    slot.on_device = {device.allocate(bytes), [&device](void* memory) { device.release(memory); }};
    queue.upload(slot.on_device.get(), slot.memory.data(), bytes);
  }
  queue.wait();
}

void OpArguments::fetch(Queue& queue) {
  for (auto& [name, slot] : slots_) {
    queue.download(slot.memory.data(), slot.on_device.get(), slot.bytes_in_rows());
  }
  queue.wait();
}

Matrix<float> OpArguments::matrix(const std::string& name) {
  const auto found = slots_.find(name);
  if (found == slots_.end()) return {};
  const OpArray& shape = found->second.shape;
  ALM_CHECK(shape.type == Type::f32, "an array of other numbers");
  return {reinterpret_cast<float*>(found->second.view()), shape.rows, shape.cols, shape.stride};
}

MixedMatrix<float> OpArguments::activations(const std::string& name) {
  const auto found = slots_.find(name);
  if (found == slots_.end()) return {};
  const OpArray& shape = found->second.shape;
  return {found->second.view(), shape.rows, shape.cols, shape.stride, precision(name)};
}

std::span<float> OpArguments::floats(const std::string& name) {
  const Matrix<float> view = matrix(name);
  return {view.data, static_cast<size_t>(view.rows * view.cols)};
}

std::span<int64_t> OpArguments::integers(const std::string& name) {
  Slot& slot = slots_.at(name);
  return {reinterpret_cast<int64_t*>(slot.view()), static_cast<size_t>(slot.shape.rows)};
}

Matrix<int64_t> OpArguments::integer_matrix(const std::string& name) {
  const auto found = slots_.find(name);
  if (found == slots_.end()) return {};
  const OpArray& shape = found->second.shape;
  return {reinterpret_cast<int64_t*>(found->second.view()), shape.rows, shape.cols, shape.stride};
}

std::span<uint8_t> OpArguments::bytes(const std::string& name) {
  Slot& slot = slots_.at(name);
  return {slot.view(), static_cast<size_t>(slot.shape.rows)};
}

double* OpArguments::doubles(const std::string& name) {
  return reinterpret_cast<double*>(slots_.at(name).view());
}

double OpArguments::scalar(const std::string& name) const {
  const auto found = scalars_.find(name);
  return found == scalars_.end() ? 0 : found->second;
}

std::vector<double> OpArguments::values(const std::string& name) const {
  const Slot& slot = slots_.at(name);
  const int64_t size = size_of(slot.shape.type);
  std::vector<double> dense;
  for (int64_t r = 0; r < slot.shape.rows; ++r) {
    for (int64_t c = 0; c < slot.shape.cols; ++c) {
      dense.push_back(
          get(slot.shape.type, slot.memory.data() + (r * slot.shape.stride + c) * size));
    }
  }
  return dense;
}

Precision OpArguments::precision(const std::string& name) const {
  return slots_.at(name).shape.type == Type::bf16 ? Precision::bf16 : Precision::fp32;
}

const std::vector<unsigned char>& OpArguments::memory(const std::string& name) const {
  return slots_.at(name).memory;
}

bool OpArguments::padding_untouched(const std::string& name) const {
  const Slot& slot = slots_.at(name);
  const int64_t size = size_of(slot.shape.type);
  const int64_t elements = std::ssize(slot.memory) / size;
  for (int64_t element = 0; element < elements; ++element) {
    const int64_t row = slot.shape.stride > 0 ? element / slot.shape.stride : 0;
    const int64_t column = slot.shape.stride > 0 ? element % slot.shape.stride : 0;
    if (row < slot.shape.rows && column < slot.shape.cols) continue;
    for (int64_t byte = 0; byte < size; ++byte) {
      if (slot.memory[static_cast<size_t>(element * size + byte)] != kPadding) return false;
    }
  }
  return true;
}

}  // namespace alm
