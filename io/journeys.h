// The log in memory: its schema, and a run of journeys as a structure of arrays. The same structure
// is what the writer takes, what the reader gives and what a batch is.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace alm::io {

enum class OutcomeKind { binary, continuous };

// What a log holds (contract 2, schema alm-log/1). Widths are columns; 0 = the data set is absent.
struct LogSchema {
  int64_t clusters = 0;
  int64_t block_rows = 0;
  std::optional<int64_t> reference_cluster;  // present: arm log, one touch per journey
  OutcomeKind outcome = OutcomeKind::binary;
  int64_t dense = 0;
  int64_t cat = 0;
  int64_t touch_dense = 0;
  int64_t touch_cat = 0;
  int64_t proxies = 0;
  bool time = false;
  bool outcome_time = false;
  bool weight = false;
  bool item = false;
  bool touch_time = false;
  bool mediator = false;
  bool mediator_time = false;
  bool match = false;
  bool propensity = false;
  bool randomised = false;
  bool truth = false;
  bool removal_truth = false;
  std::vector<std::string> dense_names;
  std::vector<std::string> cat_names;
  std::vector<std::string> touch_dense_names;
  std::vector<std::string> touch_cat_names;
  std::vector<std::string> cluster_names;
  std::vector<std::string> proxy_names;
  std::vector<uint8_t> proxy_leaky;

  bool is_arm_log() const { return reference_cluster.has_value(); }
  // "name" of cluster k from /meta/cluster, else "cluster k".
  std::string cluster_name(int64_t cluster) const;
  bool operator==(const LogSchema&) const = default;
};

// Which columns a reader should fill; the rest stay empty. user and touch_begin are always filled.
struct ColumnSet {
  bool outcome = true;
  bool time = false;
  bool outcome_time = false;
  bool weight = true;
  bool dense = true;
  bool cat = true;
  bool cluster = true;
  bool item = true;
  bool touch_time = true;
  bool touch_dense = true;
  bool touch_cat = true;
  bool mediator = true;
  bool mediator_time = false;
  bool proxy = false;
  bool match = false;
  bool propensity = false;
  bool randomised = false;
  bool truth = false;

  static ColumnSet all();
  // What training and estimating need.
  static ColumnSet model() {
    ColumnSet columns;
    columns.time = true;
    return columns;
  }
};

// A run of journeys. Vectors of absent or unread columns are empty. Clearing keeps capacity, so a
// reused object allocates nothing in the steady state. Not thread-safe.
struct Journeys {
  std::vector<int64_t>
      row;  // [n] row number in the whole log (files in order, each from its first row)
  std::vector<uint64_t> user;           // [n]
  std::vector<int64_t> time;            // [n] unix ms
  std::vector<float> outcome;           // [n] 0/1 or a value
  std::vector<int64_t> outcome_time;    // [n]
  std::vector<float> weight;            // [n]
  std::vector<float> dense;             // [n * dense]
  std::vector<int64_t> cat;             // [n * cat]
  std::vector<int64_t> touch_begin{0};  // [n + 1], touch_begin[0] == 0
  std::vector<uint32_t> cluster;        // [t]
  std::vector<uint64_t> item;           // [t]
  std::vector<int64_t> touch_time;      // [t]
  std::vector<float> touch_dense;       // [t * touch_dense]
  std::vector<int64_t> touch_cat;       // [t * touch_cat]
  std::vector<uint8_t> mediator;        // [t] 0, 1, 255 = not observed
  std::vector<int64_t> mediator_time;   // [t]
  std::vector<uint8_t> proxy;           // [t * proxies]
  std::vector<float> match;             // [t]
  std::vector<float> propensity;        // [t]
  std::vector<uint8_t> randomised;      // [t]
  std::vector<float> delta_do;          // [t] truth
  std::vector<float> delta_ett;         // [t] truth
  std::vector<float> delta_removal;     // [t] truth: of all touches of the touch's cluster
  std::vector<float> p_do;              // [n] truth
  std::vector<float> p_none;            // [n] truth

  int64_t size() const { return static_cast<int64_t>(user.size()); }
  int64_t touches() const { return touch_begin.back(); }
  int64_t touches_of(int64_t index) const {
    return touch_begin[static_cast<size_t>(index) + 1] - touch_begin[static_cast<size_t>(index)];
  }
  void clear();
  // That its vectors hold.
  int64_t bytes() const;
  // Appends journey `index` of `from` with all its filled columns; with without_touch >= 0 that
  // touch (counted within the journey) is left out. Widths are taken from `schema`.
  void append(const Journeys& from, int64_t index, const LogSchema& schema,
              int64_t without_touch = -1);
  // Appends the journeys `rows` of `from` with all its filled columns, in that order.
  void append_rows(const Journeys& from, std::span<const int64_t> rows, const LogSchema& schema);
};

}  // namespace alm::io
