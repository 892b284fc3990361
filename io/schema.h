// The columns of a log in one table (contract 2): where each lies in the file, in memory, in the
// schema and in a ColumnSet. Reader, writer, gather and checks walk this table, so a column is
// added here.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "io/journeys.h"

namespace alm::io {

enum class Scope { journey, touch };

template <class T>
struct Column {
  int64_t slot;  // its number in tables of data sets
  const char* path;
  Scope scope;
  std::vector<T> Journeys::*values;
  bool ColumnSet::*wanted;                // nullptr: always read
  bool LogSchema::*present = nullptr;     // optional 1-D column
  int64_t LogSchema::*columns = nullptr;  // optional 2-D column

  bool mostly_one_value = false;  // -1 or NaN for what did not happen

  bool is_matrix() const { return columns != nullptr; }
  // Values a row; 0 when the schema lacks the column.
  int64_t width(const LogSchema& schema) const {
    if (columns != nullptr) return schema.*columns;
    return present == nullptr || schema.*present ? 1 : 0;
  }
  bool is_wanted(const ColumnSet& set) const { return wanted == nullptr || set.*wanted; }
};

inline constexpr int64_t kTouchBeginSlot = 0;  // [N+1], not a column of rows: handled by itself
inline constexpr int64_t kUserSlot = 1;
inline constexpr int64_t kOutcomeSlot = 2;
inline constexpr int64_t kClusterSlot = 3;
inline constexpr int64_t kSlots = 24;
inline constexpr const char* kTouchBeginPath = "/journey/touch_begin";

template <class Visitor>
void for_each_column(Visitor&& visit) {
  using J = Journeys;
  using C = ColumnSet;
  using S = LogSchema;
  using enum Scope;
  visit(Column<uint64_t>{kUserSlot, "/journey/user", journey, &J::user, nullptr});
  visit(Column<float>{kOutcomeSlot, "/journey/outcome", journey, &J::outcome, &C::outcome});
  visit(Column<uint32_t>{kClusterSlot, "/touch/cluster", touch, &J::cluster, &C::cluster});
  visit(Column<int64_t>{4, "/journey/time", journey, &J::time, &C::time, &S::time});
  visit(Column<int64_t>{5, "/journey/outcome_time", journey, &J::outcome_time, &C::outcome_time,
                        &S::outcome_time, nullptr, true});
  visit(Column<float>{6, "/journey/weight", journey, &J::weight, &C::weight, &S::weight});
  visit(Column<float>{7, "/journey/dense", journey, &J::dense, &C::dense, nullptr, &S::dense});
  visit(Column<int64_t>{8, "/journey/cat", journey, &J::cat, &C::cat, nullptr, &S::cat});
  visit(Column<uint64_t>{9, "/touch/item", touch, &J::item, &C::item, &S::item});
  visit(Column<int64_t>{10, "/touch/time", touch, &J::touch_time, &C::touch_time, &S::touch_time});
  visit(Column<float>{11, "/touch/dense", touch, &J::touch_dense, &C::touch_dense, nullptr,
                      &S::touch_dense});
  visit(Column<int64_t>{12, "/touch/cat", touch, &J::touch_cat, &C::touch_cat, nullptr,
                        &S::touch_cat});
  visit(Column<uint8_t>{13, "/touch/mediator", touch, &J::mediator, &C::mediator, &S::mediator});
  visit(Column<int64_t>{14, "/touch/mediator_time", touch, &J::mediator_time, &C::mediator_time,
                        &S::mediator_time, nullptr, true});
  visit(Column<uint8_t>{15, "/touch/proxy", touch, &J::proxy, &C::proxy, nullptr, &S::proxies});
  visit(Column<float>{16, "/touch/match", touch, &J::match, &C::match, &S::match, nullptr, true});
  visit(Column<float>{17, "/touch/propensity", touch, &J::propensity, &C::propensity,
                      &S::propensity});
  visit(Column<uint8_t>{18, "/touch/randomised", touch, &J::randomised, &C::randomised,
                        &S::randomised});
  visit(Column<float>{19, "/truth/delta_do", touch, &J::delta_do, &C::truth, &S::truth});
  visit(Column<float>{20, "/truth/delta_ett", touch, &J::delta_ett, &C::truth, &S::truth});
  visit(Column<float>{21, "/truth/p_do", journey, &J::p_do, &C::truth, &S::truth});
  visit(Column<float>{22, "/truth/p_none", journey, &J::p_none, &C::truth, &S::truth});
  visit(Column<float>{23, "/truth/delta_removal", touch, &J::delta_removal, &C::truth,
                      &S::removal_truth});
}

// The lists of names and the width each must have.
template <class Visitor>
void for_each_name_list(Visitor&& visit) {
  visit("/meta/dense", &LogSchema::dense_names, &LogSchema::dense);
  visit("/meta/cat", &LogSchema::cat_names, &LogSchema::cat);
  visit("/meta/touch_dense", &LogSchema::touch_dense_names, &LogSchema::touch_dense);
  visit("/meta/touch_cat", &LogSchema::touch_cat_names, &LogSchema::touch_cat);
  visit("/meta/cluster", &LogSchema::cluster_names, &LogSchema::clusters);
  visit("/meta/proxy", &LogSchema::proxy_names, &LogSchema::proxies);
}

// A text that differs exactly when the schemas do; block_rows is left out (it may differ between
// the files of a log).
std::string schema_text(const LogSchema& schema);
// What differs first, in words: "data set /journey/dense is 3 columns, not 2 columns". Empty when
// nothing does.
std::string schema_difference(const LogSchema& expected, const LogSchema& found);

}  // namespace alm::io
