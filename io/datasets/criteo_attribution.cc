// Criteo Attribution Modeling for Bidding: 30 days of displays with clicks and conversions.
#include "io/datasets/spec.h"
#include "io/row_maker.h"

namespace alm::io {

namespace {

// The displays before one conversion are a journey, and so are a user's displays that led to none.
class DisplayRows : public AddedColumns {
 public:
  DisplayRows(const std::string& path, const std::vector<std::string>& header)
      : AddedColumns(header, {"journey"}),
        user_(field_of(path, header, "uid")),
        conversion_(field_of(path, header, "conversion_id")) {}

 private:
  void fill(std::span<const std::string_view> record, int64_t) override {
    key_.assign(record[user_]);
    key_ += '/';
    key_ += record[conversion_];
    added(0) = key_;
  }

  size_t user_, conversion_;
  std::string key_;
};

}  // namespace

DatasetSpec criteo_attribution_dataset() {
  DatasetSpec spec;
  spec.name = "criteo-attribution";
  // cost, cpo, click_pos, click_nb and attribution are known only after the display.
  spec.mapping =
      "[file]\n"
      "form = touch\n"
      "time_unit = s\n"
      "[columns]\n"
      "journey = journey\n"
      "user = uid\n"
      "cluster = campaign\n"
      "touch_time = timestamp\n"
      "touch_dense = time_since_last_click\n"
      "touch_cat = cat1, cat2, cat3, cat4, cat5, cat6, cat7, cat8, cat9\n"
      "mediator = click\n"
      "outcome = conversion\n"
      "outcome_time = conversion_timestamp\n"
      "[missing]\n"
      "time_since_last_click = -1\n"
      "conversion_timestamp = -1\n";
  spec.outcomes = {"conversion"};
  spec.complete = [](const DatasetChoice&, Dataset& dataset) {
    dataset.mapping.make_rows = row_makers<DisplayRows>();
  };
  return spec;
}

}  // namespace alm::io
