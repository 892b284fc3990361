// The id columns of a log, described: how many ids, how frequent, how they meet in a hashed table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/id_sketch.h"
#include "io/journeys.h"
#include "io/json.h"

namespace alm::io {

// What a table of ids will be, for judging the ids: rows it has, and how often an id must occur to
// be worth a row of its own.
struct IdTableShape {
  int64_t rows = int64_t{1} << 20;
  int64_t admission = 50;
};

// Sketches of /touch/item, /journey/cat and /touch/cat. Takes about 10 MiB a column at most. Not
// thread-safe.
class IdCensus {
 public:
  explicit IdCensus(const LogSchema& schema);

  // item, cat and touch_cat must have been read.
  void add(const Journeys& journeys);
  // Texts by which processes tell each other what they counted; merging is order-free but for the
  // hottest ids of columns of more than 131,072.
  std::string pack() const;
  void merge(const std::string& packed);

  // One object a column: data_set, name, values, distinct (estimated when `exact` is false),
  // missing_share (labels that the import found empty; items: null), rare_ids_share,
  // rare_values_share (below shape.admission), row_sharing_found and _expected (share of ids that
  // share their row of the table), hot: [{id, count, share}], the ten most frequent.
  Json json(const IdTableShape& shape) const;

 private:
  struct Column {
    const char* path;
    std::string name;
    uint64_t feature = 0;  // keeps equal ids of different columns apart in the table
    bool may_miss = false;
    IdSketch ids{};
    int64_t missing = 0;
  };
  std::vector<Column> columns_;
  int64_t item_columns_ = 0;
  int64_t cat_columns_ = 0;
};

// What json() says, in lines for people.
std::string id_census_text(const Json& columns);

}  // namespace alm::io
