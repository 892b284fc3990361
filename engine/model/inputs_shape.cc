#include "engine/model/inputs_shape.h"

#include <algorithm>

#include "engine/model/inputs.h"

namespace alm {
namespace {

// Of the largest array, and some more: space costs nothing.
int64_t largest_array(int64_t journeys, int64_t touches, int64_t pairs,
                      const io::LogSchema& schema) {
  const int64_t of_journeys = std::max<int64_t>({schema.dense, schema.cat, 1});
  const int64_t of_touches = std::max<int64_t>({schema.touch_dense, 2 * schema.proxies, 2});
  return (journeys + 1) * of_journeys + touches * of_touches + schema.dense + schema.touch_dense +
         2 * pairs + 1;
}

}  // namespace

InputsShape::InputsShape(DeviceWithoutMemory& device, int64_t journeys, int64_t touches,
                         const FeatureStats& stats, const ModelOptions& options, int64_t pairs)
    : space_(device, largest_array(journeys, touches, pairs, stats.schema)) {
  const io::LogSchema& schema = stats.schema;
  const auto numbers = [&]<class T>(std::span<const T>& array, int64_t count) {
    array = any<T>(count);
  };
  const auto rows = [&]<class T>(Matrix<const T>& array, int64_t count, int64_t width) {
    array = {any<T>(count * width).data(), count, width};
  };
  const auto scales = [&](ScalesView& of, int64_t columns) {
    numbers(of.mean, columns);
    numbers(of.inverse_sd, columns);
    numbers(of.missing_slot, columns);
  };
  inputs_.journeys = journeys;
  inputs_.touches = touches;
  numbers(inputs_.csr.begin, journeys + 1);
  rows(inputs_.dense, journeys, schema.dense);
  scales(inputs_.dense_scales, schema.dense);
  rows(inputs_.touch_dense, touches, schema.touch_dense);
  scales(inputs_.touch_dense_scales, schema.touch_dense);
  rows(inputs_.touch_scalars, touches, Inputs::kTouchScalars);
  numbers(inputs_.cat_rows, journeys * schema.cat);
  numbers(inputs_.item_rows, schema.item ? touches : 0);
  numbers(inputs_.cluster, touches);
  numbers(inputs_.position, touches);
  numbers(inputs_.outcome, journeys);
  numbers(inputs_.weight, journeys);
  numbers(inputs_.mediator, touches);
  if (schema.is_arm_log()) {
    numbers(inputs_.arm.mediator_input, journeys);
    numbers(inputs_.arm.mediator, journeys);
    numbers(inputs_.arm.outcome, journeys);
  }
  if (options.general_head()) {
    numbers(inputs_.law.mediator, touches);
    numbers(inputs_.law.weight, touches);
  }
  if (pairs > 0) {
    RemovalView& removal = inputs_.removal;
    numbers(removal.by_journey.begin, journeys + 1);
    numbers(removal.journey, pairs);
    numbers(removal.cluster, pairs);
    numbers(removal.parts.begin, pairs + 1);
    numbers(removal.part_weight, 2 * pairs);
    for (auto* of : {&removal.log_left, &removal.start, &removal.present, &removal.weight,
                     &removal.weight_of_presence}) {
      numbers(*of, pairs);
    }
    numbers(removal.touch_weight, touches);
  }
  if (!options.proxy_mode()) return;
  ProxyView& proxy = inputs_.proxy;
  rows(proxy.seen, touches, 2 * proxies_read(options, schema.proxies, schema.proxy_leaky));
  numbers(proxy.match, touches);
  numbers(proxy.outcome, touches);
  numbers(proxy.touch_weight, touches);
  numbers(proxy.journey_weight, touches);
  numbers(proxy.log_frequency, touches);
  proxy.uploads = touches;
  numbers(proxy.pair_upload, touches);
  numbers(proxy.pair_touch, touches);
  numbers(proxy.pair_weight, touches);
  rows(proxy.pair_ids, touches, 2);
  rows(proxy.touch_ids, touches, 2);
  numbers(proxy.pair_begin, journeys + 1);
  numbers(proxy.touch_begin, journeys + 1);
}

}  // namespace alm
