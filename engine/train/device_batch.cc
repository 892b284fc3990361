#include "engine/train/device_batch.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace alm {
namespace {

// The next size of few: at most a share of one in `shares` larger.
int64_t shared_size(int64_t size, uint64_t shares) {
  const auto step = std::max<int64_t>(
      static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(size)) / shares), 1);
  return (size + step - 1) / step * step;
}

// Touches make most of the work, rows that are not used little.
constexpr uint64_t kSharesOfTouches = 32;
constexpr uint64_t kSharesOfRows = 8;
// The touches of padding are spread over one journey in so many.
constexpr int64_t kJourneysPerPadding = 64;

// Calls with(array) for every array that holds rows of journeys or touches one after another;
// array(inputs) is it.
template <class With>
void for_each_array(const With& with) {
  with([](ModelInputs & in) -> auto& { return in.dense; });
  with([](ModelInputs & in) -> auto& { return in.touch_dense; });
  with([](ModelInputs & in) -> auto& { return in.touch_scalars; });
  with([](ModelInputs & in) -> auto& { return in.cat_rows; });
  with([](ModelInputs & in) -> auto& { return in.item_rows; });
  with([](ModelInputs & in) -> auto& { return in.cluster; });
  with([](ModelInputs & in) -> auto& { return in.position; });
  with([](ModelInputs & in) -> auto& { return in.outcome; });
  with([](ModelInputs & in) -> auto& { return in.weight; });
  with([](ModelInputs & in) -> auto& { return in.mediator; });
  with([](ModelInputs & in) -> auto& { return in.arm.mediator_input; });
  with([](ModelInputs & in) -> auto& { return in.arm.mediator; });
  with([](ModelInputs & in) -> auto& { return in.arm.outcome; });
  with([](ModelInputs & in) -> auto& { return in.law.mediator; });
  with([](ModelInputs & in) -> auto& { return in.law.weight; });
  with([](ModelInputs & in) -> auto& { return in.proxy.seen; });
  with([](ModelInputs & in) -> auto& { return in.proxy.match; });
  with([](ModelInputs & in) -> auto& { return in.proxy.outcome; });
  with([](ModelInputs & in) -> auto& { return in.proxy.touch_weight; });
  with([](ModelInputs & in) -> auto& { return in.proxy.journey_weight; });
  with([](ModelInputs & in) -> auto& { return in.proxy.log_frequency; });
  with([](ModelInputs & in) -> auto& { return in.proxy.pair_weight; });
  with([](ModelInputs & in) -> auto& { return in.proxy.pair_ids; });
  with([](ModelInputs & in) -> auto& { return in.proxy.touch_ids; });
  with([](ModelInputs & in) -> auto& { return in.removal.cluster; });
  with([](ModelInputs & in) -> auto& { return in.removal.part_weight; });
  with([](ModelInputs & in) -> auto& { return in.removal.log_left; });
  with([](ModelInputs & in) -> auto& { return in.removal.start; });
  with([](ModelInputs & in) -> auto& { return in.removal.present; });
  with([](ModelInputs & in) -> auto& { return in.removal.weight; });
  with([](ModelInputs & in) -> auto& { return in.removal.weight_of_presence; });
  with([](ModelInputs & in) -> auto& { return in.removal.touch_weight; });
}
// The same for arrays that all parts share; with(array).
template <class With>
void for_each_shared_array(ModelInputs& inputs, const With& with) {
  for (ScalesView* scales : {&inputs.dense_scales, &inputs.touch_dense_scales}) {
    with(scales->mean);
    with(scales->inverse_sd);
    with(scales->missing_slot);
  }
}

template <class T>
std::span<const T> numbers(std::span<const T> array) {
  return array;
}
template <class T>
std::span<const T> numbers(Matrix<const T> array) {
  return flat(array);
}
template <class T>
int64_t rows(std::span<const T> array) {
  return std::ssize(array);
}
template <class T>
int64_t rows(Matrix<const T> array) {
  return array.rows;
}
template <class T>
void set(std::span<const T>& array, const T* data, int64_t rows) {
  array = {data, static_cast<size_t>(rows)};
}
template <class T>
void set(Matrix<const T>& array, const T* data, int64_t rows) {
  array = {data, rows, array.cols};
}

}  // namespace

BatchSizes padded(BatchSizes of, Padding padding, const Model& model) {
  if (padding == Padding::none) return of;
  const bool one_each = model.stats().schema.is_arm_log();
  of.journeys += std::max<int64_t>(of.journeys / kJourneysPerPadding, 1);
  of.touches = one_each ? of.journeys : shared_size(of.touches, kSharesOfTouches);
  of.cat_rows = shared_size(of.cat_rows, kSharesOfRows);
  of.item_rows = shared_size(of.item_rows, kSharesOfRows);
  of.pairs = shared_size(of.pairs, kSharesOfTouches);
  return of;
}

int64_t staging_room(ModelInputs shape, int64_t cat_rows, int64_t item_rows) {
  int64_t bytes = Staging::room<StepSettings>(1) + Staging::room<int64_t>(cat_rows) +
                  Staging::room<int64_t>(item_rows);
  const auto add = [&]<class T>(std::span<const T> array) {
    bytes += Staging::room<T>(std::ssize(array));
  };
  for (const auto& array :
       {shape.csr.begin, shape.proxy.pair_upload, shape.proxy.pair_touch, shape.proxy.pair_begin,
        shape.proxy.touch_begin, shape.removal.by_journey.begin, shape.removal.journey,
        shape.removal.parts.begin}) {
    add(array);
  }
  for_each_array([&](const auto& array) { add(numbers(array(shape))); });
  for_each_shared_array(shape, add);
  add(shape.cat_rows);  // the places of their uses
  add(shape.item_rows);
  return bytes;
}

BatchPacker::BatchPacker(const Model& model)
    : model_(model),
      cats_(model.empty_weights().cats.rows),
      items_(model.empty_weights().items.rows) {}

// One a block, and the padding. `pairs`: with those of the removal net, drawn by this.
void BatchPacker::make_parts(ThreadPool& pool, std::span<const io::Journeys> blocks,
                             Padding padding, std::optional<uint64_t> pairs) {
  if (parts_.size() <= blocks.size()) parts_.resize(blocks.size() + 1);
  const auto make = [&](int64_t at, int64_t) {
    const io::Journeys& block = blocks[static_cast<size_t>(at)];
    Inputs& part = parts_[static_cast<size_t>(at)];
    part.fill(block, model_.stats(), model_.options(), model_.positions());
    if (pairs) part.fill_removal(model_.stats(), kAbsentInTraining, *pairs, true);
  };
  pool.parallel_for(std::ssize(blocks), std::cref(make));
  BatchSizes sizes;
  for (size_t at = 0; at < blocks.size(); ++at) {
    sizes.journeys += parts_[at].journeys;
    sizes.touches += parts_[at].touches;
    if (pairs) sizes.pairs += parts_[at].removal.pairs();
  }
  views_.clear();
  for (size_t at = 0; at < blocks.size(); ++at) views_.push_back(parts_[at].view());
  if (padding == Padding::shared_sizes) {
    pad(parts_[blocks.size()], sizes);
    views_.push_back(parts_[blocks.size()].view());
  }
  if (pairs) return;
  for (ModelInputs& part : views_) part.removal = {};  // of a step before
}

void BatchPacker::pad(Inputs& part, const BatchSizes& of) const {
  const BatchSizes whole = padded(of, Padding::shared_sizes, model_);
  part.clear();
  part.pad(whole.journeys - of.journeys, whole.touches - of.touches, model_.stats(),
           model_.options());
  part.pad_removal(whole.pairs - of.pairs);
}

// The sizes of all parts together, without numbers.
ModelInputs BatchPacker::joined_shape(bool with_pairs) {
  ModelInputs whole = views_.front();
  whole.journeys = whole.touches = 0;
  for (const ModelInputs& part : views_) {
    whole.journeys += part.journeys;
    whole.touches += part.touches;
  }
  for_each_array([&](const auto& array) {
    int64_t of_rows = 0;
    for (ModelInputs& part : views_) of_rows += rows(array(part));
    set(array(whole), numbers(array(whole)).data(), of_rows);
  });
  const auto sized = [](std::span<const int64_t>& array, int64_t size) {
    array = {array.data(), static_cast<size_t>(size)};
  };
  sized(whole.csr.begin, whole.journeys + 1);
  if (with_pairs) {
    sized(whole.removal.by_journey.begin, whole.journeys + 1);
    sized(whole.removal.journey, whole.removal.pairs());
    sized(whole.removal.parts.begin, whole.removal.pairs() + 1);
  }
  if (!model_.options().proxy_mode()) {
    whole.proxy = {};
    return whole;
  }
  sized(whole.proxy.pair_upload, whole.proxy.pairs());
  sized(whole.proxy.pair_touch, whole.proxy.pairs());
  sized(whole.proxy.pair_begin, std::ssize(views_) + 1);
  sized(whole.proxy.touch_begin, std::ssize(views_) + 1);
  return whole;
}

// Gives every array of `whole` its place, and lists what is to be copied there.
void BatchPacker::place_parts(Staging& to, ModelInputs& whole) {
  copies_.clear();
  for_each_array([&](const auto& array) {
    const auto all = numbers(array(whole));
    const auto place =
        to.take<std::remove_const_t<typename decltype(numbers(array(whole)))::element_type>>(
            std::ssize(all));
    set(array(whole), place.on_device, rows(array(whole)));
    auto* next = place.host;
    for (ModelInputs& part : views_) {
      const auto from = numbers(array(part));
      if (!from.empty()) copies_.push_back({next, from.data(), from.size_bytes()});
      next += from.size();
    }
  });
  const auto begin = to.take<int64_t>(whole.journeys + 1);
  whole.csr.begin = {begin.on_device, static_cast<size_t>(whole.journeys + 1)};
  int64_t* next = begin.host;
  *next = 0;
  for (const ModelInputs& part : views_) {
    const int64_t first = *next;
    for (const int64_t touch : part.csr.begin.subspan(1)) *++next = first + touch;
  }
  for_each_shared_array(whole, [&](auto& array) { array = to.put(array); });
  if (model_.options().proxy_mode()) place_groups(to, whole.proxy);
}

// Journeys and pairs are counted through all parts.
void BatchPacker::place_pairs(Staging& to, ModelInputs& whole) {
  const int64_t pairs = whole.removal.pairs();
  const auto by_journey = to.take<int64_t>(whole.journeys + 1);
  const auto journey = to.take<int64_t>(pairs);
  const auto parts = to.take<int64_t>(pairs + 1);
  int64_t *next_end = by_journey.host, *next = journey.host, first_journey = 0;
  *next_end = 0;
  for (const ModelInputs& part : views_) {
    const int64_t first = *next_end;
    for (const int64_t end : part.removal.by_journey.begin.subspan(1)) *++next_end = first + end;
    for (const int64_t of : part.removal.journey) *next++ = first_journey + of;
    first_journey += part.journeys;
  }
  for (int64_t pair = 0; pair <= pairs; ++pair) parts.host[pair] = 2 * pair;
  whole.removal.by_journey.begin = {by_journey.on_device, static_cast<size_t>(whole.journeys + 1)};
  whole.removal.journey = {journey.on_device, static_cast<size_t>(pairs)};
  whole.removal.parts.begin = {parts.on_device, static_cast<size_t>(pairs + 1)};
}

// Each part is a group; uploads and touches are counted through all of them.
void BatchPacker::place_groups(Staging& to, ProxyView& whole) {
  const int64_t pairs = whole.pairs();
  const auto upload = to.take<int64_t>(pairs), touch = to.take<int64_t>(pairs);
  const auto pair_begin = to.take<int64_t>(std::ssize(views_) + 1);
  const auto touch_begin = to.take<int64_t>(std::ssize(views_) + 1);
  whole.uploads = *pair_begin.host = *touch_begin.host = 0;
  for (size_t at = 0; at < views_.size(); ++at) {
    const ProxyView& part = views_[at].proxy;
    const int64_t first = pair_begin.host[at], first_touch = touch_begin.host[at];
    for (int64_t pair = 0; pair < part.pairs(); ++pair) {
      const size_t of_part = static_cast<size_t>(pair);
      upload.host[first + pair] = whole.uploads + part.pair_upload[of_part];
      touch.host[first + pair] = first_touch + part.pair_touch[of_part];
    }
    whole.uploads += part.uploads;
    pair_begin.host[at + 1] = first + part.pairs();
    touch_begin.host[at + 1] = first_touch + views_[at].touches;
  }
  const auto on_device = [](const auto& place, int64_t count) {
    return std::span(place.on_device, static_cast<size_t>(count));
  };
  whole.pair_upload = on_device(upload, pairs);
  whole.pair_touch = on_device(touch, pairs);
  whole.pair_begin = on_device(pair_begin, std::ssize(views_) + 1);
  whole.touch_begin = on_device(touch_begin, std::ssize(views_) + 1);
}

// The ids of rows go by the host; their gradients follow on the device.
void BatchPacker::find_rows(ThreadPool& pool, Padding padding, RowsOf rows, Communicator& world) {
  if (rows == RowsOf::none) {
    for (DistinctRows* distinct : {&cats_, &items_}) distinct->clear();
    return;
  }
  struct Table {
    DistinctRows& rows;
    std::span<const int64_t> ModelInputs::*uses;
  };
  const Table tables[] = {{cats_, &ModelInputs::cat_rows}, {items_, &ModelInputs::item_rows}};
  const auto with_each = [&](const auto& with) {
    const auto body = [&](int64_t table, int64_t) { with(tables[table]); };
    pool.parallel_for(std::ssize(tables), std::cref(body));
  };
  if (rows == RowsOf::batch_before) {
    return with_each([&](const Table& of) { of.rows.locate(views_.front().*of.uses); });
  }
  with_each([&](const Table& of) {
    of.rows.clear();
    for (const ModelInputs& part : views_) of.rows.add(part.*of.uses);
  });
  if (rows == RowsOf::all_ranks) {
    for (const Table& of : tables) of.rows.join(world, "rows of a batch");
  }
  with_each([&](const Table& of) {
    of.rows.find();
    if (padding == Padding::none) return;
    of.rows.pad(shared_size(std::ssize(of.rows.rows()), kSharesOfRows));
  });
}

void BatchPacker::copy_parts(ThreadPool& pool) {
  const auto copy_item = [&](int64_t at, int64_t) {
    const Copy& copy = copies_[static_cast<size_t>(at)];
    std::memcpy(copy.to, copy.from, copy.bytes);
  };
  pool.parallel_for(std::ssize(copies_), std::cref(copy_item));
}

DeviceBatch BatchPacker::pack(ThreadPool& pool, std::span<const io::Journeys> blocks,
                              const StepSettings& settings, Padding padding, RowsOf rows,
                              Communicator& world, Staging& to, std::optional<uint64_t> refit) {
  ALM_CHECK(rows != RowsOf::batch_before || (blocks.size() == 1 && padding == Padding::none));
  ALM_CHECK(!model_.options().proxy_mode() || padding == Padding::none);
  ALM_CHECK(refit.has_value() == (rows == RowsOf::none));
  const std::optional<uint64_t> pairs = model_.refit_reads_pairs() ? refit : std::nullopt;
  make_parts(pool, blocks, padding, pairs);
  find_rows(pool, padding, rows, world);
  DeviceBatch batch;
  batch.refit = refit.has_value();
  if (model_.options().proxy_mode()) {
    for (size_t at = 0; at < blocks.size(); ++at) {
      LossSums of_block;
      parts_[at].proxy.add_known(of_block);
      batch.known.add(of_block);
    }
  }
  batch.inputs = joined_shape(pairs.has_value());
  to.begin(staging_room(batch.inputs, std::ssize(cats_.rows()), std::ssize(items_.rows())));
  place_parts(to, batch.inputs);
  if (pairs) place_pairs(to, batch.inputs);
  copy_parts(pool);
  batch.cats = {to.put(cats_.rows()), to.put(cats_.places())};
  batch.items = {to.put(items_.rows()), to.put(items_.places())};
  batch.settings = to.put(std::span(&settings, 1)).data();
  return batch;
}

}  // namespace alm
