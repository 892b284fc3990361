#include "io/weighted_log.h"

#include <utility>

namespace alm::io {
namespace {

class WeightedLog final : public Log {
 public:
  WeightedLog(std::shared_ptr<const Log> log, UserWeight weight)
      : log_(std::move(log)), weight_(std::move(weight)), schema_(log_->schema()) {
    schema_.weight = true;
  }
  const LogSchema& schema() const override { return schema_; }
  const LogOptions& options() const override { return log_->options(); }
  const std::vector<LogFile>& files() const override { return log_->files(); }
  const FileIndex* file_index(int64_t file) const override { return log_->file_index(file); }
  int64_t rows() const override { return log_->rows(); }
  int64_t touches() const override { return log_->touches(); }
  const std::vector<BlockInfo>& blocks() const override { return log_->blocks(); }
  const std::string& manifest_hash() const override { return log_->manifest_hash(); }
  const std::vector<std::string>& warnings() const override { return log_->warnings(); }

  ReadReport read_block(int64_t block, const ColumnSet& columns, Journeys& out) const override {
    ReadReport report = log_->read_block(block, columns, out);
    if (!columns.weight) return report;
    out.weight.resize(out.user.size(), 1.0f);  // a log without the column
    for (size_t row = 0; row < out.user.size(); ++row) out.weight[row] *= weight_(out.user[row]);
    return report;
  }

 private:
  std::shared_ptr<const Log> log_;
  UserWeight weight_;
  LogSchema schema_;
};

}  // namespace

std::shared_ptr<const Log> weigh_users(std::shared_ptr<const Log> log, UserWeight weight) {
  return std::make_shared<WeightedLog>(std::move(log), std::move(weight));
}

}  // namespace alm::io
