// Whether a log fits a trained model, and what is said where it does not.
#include "engine/model/bundle.h"

#include <gtest/gtest.h>

#include "kernels/base/check.h"

namespace alm {
namespace {

io::LogSchema schema_of(const std::vector<std::string>& clusters) {
  io::LogSchema schema;
  schema.clusters = static_cast<int64_t>(clusters.size());
  schema.cluster_names = clusters;
  return schema;
}

std::string refusal(const io::LogSchema& trained, const io::LogSchema& other) {
  try {
    check_same_features(ModelOptions{}, trained, other);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

TEST(SameFeatures, AreOfTheSameClusters) {
  const io::LogSchema trained = schema_of({"mail", "push"});
  EXPECT_EQ(refusal(trained, trained), "");
  const auto expect = [&](const io::LogSchema& other, const std::string& words) {
    const std::string said = refusal(trained, other);
    EXPECT_NE(said.find(words), said.npos) << said;
  };
  expect(schema_of({"mail", "sms"}),
         "'sms' is in the log, not in the model, 'push' is in the model, not in the log");
  expect(schema_of({"mail"}), "('push' is in the model, not in the log)");
  expect(schema_of({"mail", "push", "sms"}), "('sms' is in the log, not in the model)");
  expect(schema_of({"push", "mail"}), "another order");
  io::LogSchema unnamed = schema_of({});
  unnamed.clusters = 3;
  expect(unnamed, "'clusters' is 3 in the log, 2 in the model");
}

}  // namespace
}  // namespace alm
