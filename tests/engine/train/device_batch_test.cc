// A batch packed for a device, block by block and by several threads, holds what its journeys make
// of one piece, and padding that weighs nothing.
#include "engine/train/device_batch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "engine/model/removal_net.h"
#include "tests/engine/train/device_training.h"

namespace alm {
namespace {

class BatchPackerTest : public testing::TestWithParam<TrainingCase> {
 protected:
  BatchPackerTest()
      : training_(GetParam()),
        pool_(3),
        device_(make_cpu_device("auto")),
        staging_(*device_),
        packer_(training_.model()) {}

  // Blocks of no journey and of one among those of a batch.
  std::vector<io::Journeys> blocks() {
    const std::span<const io::Journeys> batch = training_.batch(0);
    std::vector<io::Journeys> blocks(batch.begin(), batch.end());
    blocks.insert(blocks.begin() + 1, io::Journeys());
    blocks[1].clear();
    return blocks;
  }
  DeviceBatch pack(const std::vector<io::Journeys>& blocks, Padding padding) {
    const StepSettings settings{.learning_rate = 0.5f, .clip_norm = 7};
    const DeviceBatch batch =
        packer_.pack(pool_, blocks, settings, padding, RowsOf::batch, *world_, staging_);
    const std::unique_ptr<Queue> queue = device_->make_queue();
    staging_.send(*queue);
    EXPECT_EQ(batch.settings->learning_rate, 0.5f);
    EXPECT_EQ(batch.settings->clip_norm, 7);
    return batch;
  }
  Inputs in_one_piece(const std::vector<io::Journeys>& blocks) {
    Inputs inputs;
    inputs.clear();
    const Model& model = training_.model();
    for (const io::Journeys& block : blocks) {
      inputs.add({block, 0, block.size()}, model.stats(), model.options(), model.positions());
    }
    return inputs;
  }

  DeviceTraining training_;
  ThreadPool pool_;
  std::unique_ptr<Device> device_;
  Staging staging_;
  std::unique_ptr<Communicator> world_ = make_self_communicator();
  BatchPacker packer_;
};

std::string name_of(const testing::TestParamInfo<TrainingCase>& test) {
  constexpr const char* kHeads[] = {"Separable", "Additive", "Arms",
                                    "Proxy",     "General",  "GeneralContinuous"};
  return kHeads[static_cast<int>(test.param.head)] + test.param.shape;
}

INSTANTIATE_TEST_SUITE_P(Case, BatchPackerTest,
                         testing::Values(TrainingCase{"tiny", 16}, TrainingCase{"reference", 64},
                                         TrainingCase{"reference", 64, Head::additive},
                                         TrainingCase{"tiny", 64, Head::arms},
                                         TrainingCase{"tiny", 64, Head::general}),
                         name_of);

template <class T>
void expect_begins_with(std::span<const T> whole, std::span<const T> part, const char* what) {
  ASSERT_GE(whole.size(), part.size()) << what;
  for (size_t at = 0; at < part.size(); ++at) {
    const bool both_missing = part[at] != part[at] && whole[at] != whole[at];
    ASSERT_TRUE(both_missing || whole[at] == part[at]) << what << " at " << at;
  }
}

void expect_begins_with(const ModelInputs& whole, const ModelInputs& part) {
  expect_begins_with(whole.csr.begin, part.csr.begin, "touches");
  expect_begins_with(flat(whole.dense), flat(part.dense), "dense");
  expect_begins_with(flat(whole.touch_dense), flat(part.touch_dense), "touch_dense");
  expect_begins_with(flat(whole.touch_scalars), flat(part.touch_scalars), "scalars");
  expect_begins_with(whole.cat_rows, part.cat_rows, "cat_rows");
  expect_begins_with(whole.item_rows, part.item_rows, "item_rows");
  expect_begins_with(whole.cluster, part.cluster, "cluster");
  expect_begins_with(whole.position, part.position, "position");
  expect_begins_with(whole.outcome, part.outcome, "outcome");
  expect_begins_with(whole.weight, part.weight, "weight");
  expect_begins_with(whole.mediator, part.mediator, "mediator");
  expect_begins_with(whole.arm.mediator, part.arm.mediator, "mediator of arms");
  expect_begins_with(whole.arm.outcome, part.arm.outcome, "outcome of arms");
  expect_begins_with(whole.law.mediator, part.law.mediator, "mediator of the law");
  expect_begins_with(whole.law.weight, part.law.weight, "weight of the law");
  expect_begins_with(whole.dense_scales.mean, part.dense_scales.mean, "mean");
}

void expect_rows_of(const DeviceBatch::Rows& rows, std::span<const int64_t> uses) {
  ASSERT_EQ(rows.places.size(), uses.size());
  for (size_t use = 0; use < uses.size(); ++use) {
    EXPECT_EQ(rows.rows[static_cast<size_t>(rows.places[use])], uses[use]);
  }
  EXPECT_EQ(std::set<int64_t>(rows.rows.begin(), rows.rows.end()).size(), rows.rows.size());
}

TEST_P(BatchPackerTest, HoldsWhatItsJourneysMakeInOnePiece) {
  const std::vector<io::Journeys> of = blocks();
  const Inputs wanted = in_one_piece(of);
  const DeviceBatch batch = pack(of, Padding::none);
  EXPECT_EQ(batch.inputs.journeys, wanted.journeys);
  EXPECT_EQ(batch.inputs.touches, wanted.touches);
  EXPECT_EQ(batch.inputs.csr.begin.size(), wanted.csr.begin.size());
  EXPECT_EQ(batch.inputs.weight.size(), wanted.weight.size());
  expect_begins_with(batch.inputs, wanted);
  expect_rows_of(batch.cats, wanted.cat_rows);
  expect_rows_of(batch.items, wanted.item_rows);
}

TEST_P(BatchPackerTest, PadsToSharedSizesWithWhatWeighsNothing) {
  const std::vector<io::Journeys> of = blocks();
  const Inputs wanted = in_one_piece(of);
  const DeviceBatch batch = pack(of, Padding::shared_sizes);
  const ModelInputs& inputs = batch.inputs;
  expect_begins_with(inputs, wanted);
  ASSERT_GT(inputs.journeys, wanted.journeys);
  EXPECT_LE(inputs.journeys, wanted.journeys + wanted.journeys / 64 + 1);
  EXPECT_LE(inputs.touches, wanted.touches + wanted.touches / 32 + 1);
  EXPECT_EQ(inputs.csr.begin.back(), inputs.touches);
  for (int64_t journey = wanted.journeys; journey < inputs.journeys; ++journey) {
    EXPECT_EQ(inputs.weight[static_cast<size_t>(journey)], 0);
  }
  expect_rows_of(batch.cats, inputs.cat_rows);
  expect_rows_of(batch.items, inputs.item_rows);
  if (GetParam().head == Head::arms) {
    EXPECT_EQ(inputs.touches, inputs.journeys);
  }
  const bool law = GetParam().head == Head::general;
  ASSERT_EQ(std::ssize(inputs.law.mediator), law ? inputs.touches : 0);
  ASSERT_EQ(inputs.law.weight.size(), inputs.law.mediator.size());
  for (size_t touch = 0; touch < inputs.law.weight.size(); ++touch) {
    const bool padding = static_cast<int64_t>(touch) >= wanted.touches;
    const bool missing = inputs.mediator[touch] == kMediatorMissing;
    EXPECT_EQ(std::isnan(inputs.law.mediator[touch]), missing) << touch;
    EXPECT_TRUE(missing || inputs.law.mediator[touch] == inputs.mediator[touch]) << touch;
    EXPECT_EQ(inputs.law.weight[touch] > 0, !padding) << touch;
  }
}

TEST_P(BatchPackerTest, HoldsPairsOfTheRemovalNetAndPaddingThatWeighsNothing) {
  if (!training_.model().refit_reads_pairs()) return;  // arms, and the general head
  const std::vector<io::Journeys> of = blocks();
  Inputs all = in_one_piece(of);
  all.fill_removal(training_.model().stats(), kAbsentInTraining, 9, true);
  const RemovalView wanted = all.removal.view();
  ASSERT_GT(wanted.pairs(), all.journeys);
  const auto packed = [&](Padding padding, std::optional<uint64_t> refit) {
    const DeviceBatch batch = packer_.pack(
        pool_, of, {}, padding, refit ? RowsOf::none : RowsOf::batch, *world_, staging_, refit);
    const std::unique_ptr<Queue> queue = device_->make_queue();
    staging_.send(*queue);
    return batch;
  };
  for (const Padding padding : {Padding::none, Padding::shared_sizes}) {
    const DeviceBatch batch = packed(padding, 9);
    const RemovalView& found = batch.inputs.removal;
    EXPECT_TRUE(batch.refit);
    EXPECT_TRUE(batch.cats.rows.empty());
    expect_begins_with(batch.inputs, all);
    expect_begins_with(found.by_journey.begin, wanted.by_journey.begin, "pairs by journey");
    expect_begins_with(found.journey, wanted.journey, "journey");
    expect_begins_with(found.cluster, wanted.cluster, "cluster");
    expect_begins_with(found.parts.begin, wanted.parts.begin, "parts");
    expect_begins_with(found.part_weight, wanted.part_weight, "part_weight");
    expect_begins_with(found.log_left, wanted.log_left, "log_left");
    expect_begins_with(found.start, wanted.start, "start");
    expect_begins_with(found.present, wanted.present, "present");
    expect_begins_with(found.weight, wanted.weight, "weight of pairs");
    expect_begins_with(found.weight_of_presence, wanted.weight_of_presence, "weight of presence");
    EXPECT_EQ(std::ssize(found.by_journey.begin), batch.inputs.journeys + 1);
    EXPECT_EQ(found.by_journey.begin.back(), found.pairs());
    EXPECT_EQ(std::ssize(found.parts.begin), found.pairs() + 1);
    EXPECT_EQ(std::ssize(found.part_weight), 2 * found.pairs());
    EXPECT_EQ(found.touch_weight.size(), batch.inputs.cluster.size());
    EXPECT_LE(found.pairs(), wanted.pairs() + wanted.pairs() / 32 + 1);
    if (padding == Padding::none) {
      EXPECT_EQ(found.pairs(), wanted.pairs());
    }
    for (int64_t pair = wanted.pairs(); pair < found.pairs(); ++pair) {
      EXPECT_EQ(found.weight[static_cast<size_t>(pair)], 0);
      EXPECT_GE(found.journey[static_cast<size_t>(pair)], all.journeys);
    }
    const DeviceBatch of_training = packed(padding, std::nullopt);
    EXPECT_FALSE(of_training.refit);
    EXPECT_EQ(of_training.inputs.removal.pairs(), 0) << "of the step before";
    EXPECT_TRUE(of_training.inputs.removal.touch_weight.empty());
  }
}

// In proxy mode, and in logs of many clusters.
TEST(BatchPacker, HasNoPairsWhereTheModelHasNoRemovalNet) {
  DeviceTraining training({"tiny", 16, Head::proxy});
  const Model& model = training.model();
  auto stats = std::make_shared<FeatureStats>(model.stats());
  ModelOptions options = model.options();
  options.mediator = MediatorMode::observed;
  EXPECT_TRUE(make_model(stats, options, model.positions())->refit_reads_pairs());
  stats->schema.clusters = kRemovalClusters + 1;
  stats->touch_share.resize(static_cast<size_t>(stats->schema.clusters), 0.1f);
  EXPECT_FALSE(make_model(stats, options, model.positions())->refit_reads_pairs());
  EXPECT_FALSE(model.refit_reads_pairs());

  const std::unique_ptr<Device> device = make_cpu_device("auto");
  const std::unique_ptr<Communicator> world = make_self_communicator();
  ThreadPool pool(2);
  Staging staging(*device);
  BatchPacker packer(model);
  const DeviceBatch batch =
      packer.pack(pool, training.batch(0), {}, Padding::none, RowsOf::none, *world, staging, 9);
  EXPECT_TRUE(batch.refit);
  EXPECT_GT(batch.inputs.touches, 0);
  EXPECT_EQ(batch.inputs.removal.pairs(), 0);
  EXPECT_TRUE(batch.inputs.removal.by_journey.begin.empty());
  EXPECT_TRUE(batch.inputs.removal.touch_weight.empty());
}

TEST_P(BatchPackerTest, PadsABatchOfNothing) {
  const std::vector<io::Journeys> of(2, blocks()[1]);
  const DeviceBatch batch = pack(of, Padding::shared_sizes);
  EXPECT_EQ(batch.inputs.journeys, 1);
  EXPECT_EQ(batch.inputs.weight[0], 0);
}

}  // namespace
}  // namespace alm
