// Which cluster an item belongs to, for logs whose clusters are no column of the table: by a list
// of items, or by k-means on the numbers that describe each item.
//
// Only a catalogue of items is looked at, never a journey, an outcome or a user: clusters cannot
// depend on what they are used to explain, and no held-out user has a part in them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/id_table.h"

namespace alm::io {

// Cluster of items the catalogue does not know.
inline constexpr std::string_view kUnknownCluster = "unknown";

inline constexpr int64_t kMostFitted = int64_t{1} << 20;

struct ClusterChoice {
  std::string file;                    // catalogue: a row an item, its first column the item
  int64_t clusters = 0;                // k-means: how many; 0: a list
  std::string column{};                // list: the column that names the cluster
  std::vector<std::string> unknown{};  // list: texts that mean no cluster, besides the empty one
};

// Immutable once made; thread-safe. Takes 12 bytes an item.
class ClusterTable {
 public:
  explicit ClusterTable(IdTable items, std::vector<std::string> unknown = {})
      : items_(std::move(items)), unknown_(std::move(unknown)) {}
  std::string_view cluster_of(std::string_view item) const;
  int64_t items() const { return items_.size(); }

 private:
  IdTable items_;
  std::vector<std::string> unknown_;
};

// Reads the catalogue: once for a list, twice for k-means (once for the points to fit on, once to
// place every item). The same file and choice give the same clusters, on any number of ranks and
// threads. UserError naming file and line of what is no number, and when the items are fewer than
// the clusters wanted.
std::shared_ptr<const ClusterTable> read_clusters(const ClusterChoice& choice);

// k-means (Lloyd's iterations from k-means++ centres drawn by a fixed seed) on `points`
// [n * width], at least as many as clusters. The centres [clusters * width]; the same points in the
// same order give the same centres.
std::vector<float> fit_centres(std::span<const float> points, int64_t width, int64_t clusters);
// The nearest centre of each point, [n].
std::vector<int64_t> nearest_centre(std::span<const float> points, std::span<const float> centres,
                                    int64_t width);

// Version of the library that fits.
std::string k_means_version();

}  // namespace alm::io
