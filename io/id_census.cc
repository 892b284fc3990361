#include "io/id_census.h"

#include "io/bytes.h"
#include "io/field.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

constexpr int64_t kHotShown = 10;

std::string percent(const Json& share) {
  return share.is_null() ? std::string("unknown") : format("%.3g %%", 100 * share.get<double>());
}

}  // namespace

IdCensus::IdCensus(const LogSchema& schema) {
  const auto add_all = [&](const char* path, int64_t width, const std::vector<std::string>& names) {
    for (int64_t column = 0; column < width; ++column) {
      const auto at = static_cast<size_t>(column);
      columns_.push_back({path, at < names.size() ? names[at] : std::to_string(column),
                          static_cast<uint64_t>(column), true});
    }
  };
  if (schema.item) columns_.push_back({"/touch/item", "", 0, false});
  item_columns_ = schema.item ? 1 : 0;
  add_all("/journey/cat", schema.cat, schema.cat_names);
  cat_columns_ = schema.cat;
  add_all("/touch/cat", schema.touch_cat, schema.touch_cat_names);
}

void IdCensus::add(const Journeys& journeys) {
  static const int64_t missing = signed_label_id("");
  size_t next = 0;
  if (item_columns_ > 0) {
    for (const uint64_t id : journeys.item) columns_[0].ids.add(id);
    next = 1;
  }
  const auto add_matrix = [&](const std::vector<int64_t>& values, int64_t width) {
    for (size_t at = 0; at < values.size(); ++at) {
      Column& column = columns_[next + at % static_cast<size_t>(width)];
      column.ids.add(static_cast<uint64_t>(values[at]));
      column.missing += values[at] == missing;
    }
    next += static_cast<size_t>(width);
  };
  const int64_t touch_cats = static_cast<int64_t>(columns_.size()) - item_columns_ - cat_columns_;
  if (cat_columns_ > 0) add_matrix(journeys.cat, cat_columns_);
  if (touch_cats > 0) add_matrix(journeys.touch_cat, touch_cats);
}

std::string IdCensus::pack() const {
  BytesWriter to;
  for (const Column& column : columns_) {
    to.put_text(column.ids.pack());
    to.put(column.missing);
  }
  return to.take();
}

void IdCensus::merge(const std::string& packed) {
  BytesReader from(packed);
  for (Column& column : columns_) {
    column.ids.merge(IdSketch::unpack(from.get_text()));
    column.missing += from.get<int64_t>();
  }
}

Json IdCensus::json(const IdTableShape& shape) const {
  Json list = Json::array();
  for (const Column& column : columns_) {
    const IdSketch& ids = column.ids;
    const double total = static_cast<double>(ids.total());
    const IdSketch::Rare rare = ids.rarer_than(shape.admission);
    const IdSketch::Collisions collisions = ids.in_table(column.feature, shape.rows);
    Json hot = Json::array();
    for (const IdSketch::Hot& id : ids.hottest(kHotShown)) {
      hot.push_back({{"id", column.may_miss ? Json(static_cast<int64_t>(id.id)) : Json(id.id)},
                     {"count", id.count},
                     {"share", number(static_cast<double>(id.count) / total)}});
    }
    list.push_back(
        {{"data_set", column.path},
         {"name", column.name},
         {"values", ids.total()},
         {"distinct", ids.distinct()},
         {"exact", ids.is_exact()},
         {"missing_share",
          column.may_miss ? number(static_cast<double>(column.missing) / total) : Json()},
         {"rare_below", shape.admission},
         {"rare_ids_share", number(rare.ids)},
         {"rare_values_share", number(rare.occurrences)},
         {"table_rows", shape.rows},
         {"row_sharing_found", number(collisions.found)},
         {"row_sharing_expected", number(collisions.expected)},
         {"hot", hot}});
  }
  return list;
}

std::string id_census_text(const Json& columns) {
  std::string text;
  for (const Json& column : columns) {
    if (column["values"] == 0) continue;
    const std::string name = column["name"].get<std::string>();
    const Json& hot = column["hot"];
    double share = 0;
    for (const Json& id : hot) share += id["share"].get<double>();
    text +=
        format("%-18s %s%s ids in %s values; the %zu most frequent are %s%.3g %%, first %s\n",
               (column["data_set"].get<std::string>() + (name.empty() ? "" : " " + name)).c_str(),
               column["exact"] == true ? "" : "about ",
               with_commas(column["distinct"].get<int64_t>()).c_str(),
               with_commas(column["values"].get<int64_t>()).c_str(), hot.size(),
               column["exact"] == true ? "" : "at least ", 100 * share,
               hot.empty() ? "none" : hot[0]["id"].dump().c_str());
    text += format(
        "%-18s %s of the ids (%s of the values) occur fewer than %lld times; %s share a "
        "row of a table of %s, %s expected",
        "", percent(column["rare_ids_share"]).c_str(), percent(column["rare_values_share"]).c_str(),
        column["rare_below"].get<long long>(), percent(column["row_sharing_found"]).c_str(),
        with_commas(column["table_rows"].get<int64_t>()).c_str(),
        percent(column["row_sharing_expected"]).c_str());
    if (!column["missing_share"].is_null()) {
      text += format("; %s missing", percent(column["missing_share"]).c_str());
    }
    text += "\n";
  }
  return text;
}

}  // namespace alm::io
