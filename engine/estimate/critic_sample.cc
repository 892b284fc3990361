#include "engine/estimate/critic_sample.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/base/logistic.h"

namespace alm {
namespace {

constexpr int64_t kGroups = 16;
// Hidden width of h up to which that many are affordable.
constexpr int64_t kUsualHidden = 128;
constexpr uint64_t kDraw = 0x637269746963;  // keeps this hash apart from others of its purpose

uint64_t place_of(int64_t row) {
  return hash(static_cast<uint64_t>(row), Salt::validation, kDraw);
}

template <class T>
void put(std::vector<std::byte>& to, const std::vector<T>& values) {
  const int64_t count = std::ssize(values);
  const auto bytes = std::as_bytes(std::span(&count, 1));
  to.insert(to.end(), bytes.begin(), bytes.end());
  const auto content = std::as_bytes(std::span(values));
  to.insert(to.end(), content.begin(), content.end());
}

template <class T>
T next(std::span<const std::byte>& from) {
  T value;
  std::memcpy(&value, from.data(), sizeof(T));
  from = from.subspan(sizeof(T));
  return value;
}

template <class T>
std::vector<T> next_vector(std::span<const std::byte>& from) {
  std::vector<T> values(static_cast<size_t>(next<int64_t>(from)));
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(values));
  std::ranges::copy(from.first(bytes.size()), bytes.begin());
  from = from.subspan(bytes.size());
  return values;
}

std::vector<float> row_of(const Matrix<float>& of) {
  return {of.row(0), of.row(0) + of.cols};
}

}  // namespace

std::vector<std::byte> CriticJourney::packed() const {
  std::vector<std::byte> bytes;
  put(bytes, std::vector<uint64_t>{place, static_cast<uint64_t>(row), user});
  put(bytes, std::vector<double>{weight, second_stage, truth});
  for (const std::vector<float>* of : {&x, &y, &touches, &context}) put(bytes, *of);
  put(bytes, clusters);
  return bytes;
}

CriticJourney CriticJourney::unpack(std::span<const std::byte>& from) {
  CriticJourney of;
  const std::vector<uint64_t> ids = next_vector<uint64_t>(from);
  of.place = ids[0];
  of.row = static_cast<int64_t>(ids[1]);
  of.user = ids[2];
  const std::vector<double> numbers = next_vector<double>(from);
  of.weight = numbers[0];
  of.second_stage = numbers[1];
  of.truth = numbers[2];
  for (std::vector<float>* to : {&of.x, &of.y, &of.touches, &of.context}) {
    *to = next_vector<float>(from);
  }
  of.clusters = next_vector<int64_t>(from);
  return of;
}

double critic_share(const ScoredUsers& users, int64_t log_rows, const ModelOptions& options) {
  const bool held_out = users.same_log && users.folds == 1 && !users.in_sample;
  const double scored = static_cast<double>(log_rows) * (held_out ? users.holdout : 1);
  const int64_t groups =
      std::clamp<int64_t>(kGroups * kUsualHidden / options.confounding_hidden, 1, kGroups);
  // One group more than is wanted: what is drawn varies.
  const double wanted = static_cast<double>((groups + 1) * kCriticGroupOfEstimates);
  return scored > wanted ? wanted / scored : 1;
}

void CriticSample::add(const io::Journeys& journeys, int64_t thread) {
  for (int64_t journey = 0; journey < journeys.size(); ++journey) {
    const size_t i = static_cast<size_t>(journey);
    const double weight = journeys.weight.empty() ? 1.0 : double{journeys.weight[i]};
    const uint64_t place = place_of(journeys.row[i]);
    if (!(weight > 0) || unit(place) >= share_) continue;
    one_.clear();
    one_.append(journeys, journey, model_.stats().schema);
    Inputs& inputs = compute_.thread(thread).inputs;
    inputs.fill(one_, model_.stats(), model_.options(), model_.positions());
    const Pass pass = compute_.pass(thread, weights_.dense.data(), nullptr);
    const AlmMta::CriticScores scores = model_.critic_scores(pass, inputs, weights_);
    CriticJourney& drawn = journeys_.emplace_back();
    drawn.place = place;
    drawn.row = journeys.row[i];
    drawn.user = journeys.user[i];
    drawn.weight = weight;
    drawn.second_stage = sigmoid(double{scores.second_stage(0, 0)});
    drawn.truth = journeys.p_none.empty() ? NAN : 1 - double{journeys.p_none[i]};
    drawn.x = row_of(scores.x);
    drawn.y = row_of(scores.y);
    drawn.touches = row_of(scores.h.touches);
    drawn.context = row_of(scores.h.context);
    drawn.clusters.assign(inputs.cluster.begin(), inputs.cluster.end());
    std::ranges::sort(drawn.clusters);
    drawn.clusters.erase(std::ranges::unique(drawn.clusters).begin(), drawn.clusters.end());
  }
}

std::vector<CriticJourney> gather(std::vector<CriticJourney> mine, Communicator& world) {
  std::vector<std::byte> bytes, all;
  for (const CriticJourney& of : mine) {
    const std::vector<std::byte> packed = of.packed();
    bytes.insert(bytes.end(), packed.begin(), packed.end());
  }
  std::vector<int64_t> counts;
  world.all_gather_v(bytes, all, counts, "journeys of the critic");
  std::vector<CriticJourney> result;
  for (std::span<const std::byte> rest(all); !rest.empty();) {
    result.push_back(CriticJourney::unpack(rest));
  }
  std::ranges::sort(result, [](const CriticJourney& left, const CriticJourney& right) {
    return std::pair(left.place, left.row) < std::pair(right.place, right.row);
  });
  return result;
}

}  // namespace alm
