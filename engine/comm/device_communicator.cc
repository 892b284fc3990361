#include "engine/comm/device_communicator.h"

namespace alm {
namespace {

class SelfDeviceCommunicator final : public DeviceCommunicator {
 public:
  std::string name() const override { return "self"; }
  int64_t size() const override { return 1; }
  DeviceMemory& memory(Device& device) override { return device; }
  void all_reduce_sum(Queue&, std::span<const DeviceNumbers>, const char*) override {}
  void all_reduce_max(Queue&, DeviceSpan<float>, const char*) override {}
  void wait(Event& event, const char*) override { event.wait(); }
};

}  // namespace

std::unique_ptr<DeviceCommunicator> make_self_device_communicator() {
  return std::make_unique<SelfDeviceCommunicator>();
}

}  // namespace alm
