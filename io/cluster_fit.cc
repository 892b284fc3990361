#include "io/cluster_fit.h"

#include <faiss/Clustering.h>
#include <faiss/IndexFlat.h>
#include <faiss/utils/distances.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <utility>

#include "io/csv.h"
#include "io/field.h"
#include "kernels/base/check.h"
#include "kernels/base/hash.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

// FAISS advises 39 and more; the time of a fit grows with it.
constexpr int64_t kPointsPerCluster = 64;
constexpr int64_t kMostPointBytes = int64_t{1} << 28;
constexpr int64_t kBatch = 4096;
constexpr int kIterations = 25;
constexpr int kSeed = 1234;

size_t at(int64_t index) {
  return static_cast<size_t>(index);
}

using OnPoint = std::function<void(uint64_t item, std::span<const float> point)>;

// Every row of a catalogue of numbers; returns how many numbers describe an item.
int64_t read_points(const std::string& path, const OnPoint& on_point) {
  std::vector<std::string> header;
  std::vector<float> point;
  read_csv(path, csv_separator(path), [&](std::span<const std::string_view> record, int64_t line) {
    if (header.empty()) {
      header.assign(record.begin(), record.end());
      if (header.size() < 2) {
        throw UserError(path +
                        ": k-means needs the item in the first column and numbers behind it");
      }
      return;
    }
    const auto fail = [&](const std::string& what) {
      throw UserError(
          format("%s, line %lld%s", path.c_str(), static_cast<long long>(line), what.c_str()));
    };
    if (record.size() != header.size()) {
      fail(format(": %zu fields where the header has %zu", record.size(), header.size()));
    }
    point.clear();
    for (size_t field = 1; field < record.size(); ++field) {
      const std::optional<float> value = parse_number(record[field]);
      if (!value) {
        fail(", column '" + header[field] + "': '" + std::string(record[field].substr(0, 80)) +
             "' is not a number, and k-means can use nothing else");
      }
      point.push_back(*value);
    }
    if (record[0].empty()) fail(", column '" + header[0] + "': is missing");
    on_point(label_id(record[0]), point);
  });
  return static_cast<int64_t>(header.size()) - 1;
}

// The points of the items whose ids have the smallest hashes, in that order: neither the order of
// the catalogue nor its length beyond need matters.
std::vector<float> sample_points(const std::string& path, int64_t clusters, int64_t& width) {
  std::map<uint64_t, std::vector<float>> kept;
  width = read_points(path, [&](uint64_t item, std::span<const float> point) {
    const auto most = std::max(
        clusters, std::min(kPointsPerCluster * clusters,
                           kMostPointBytes / static_cast<int64_t>(point.size() * sizeof(float))));
    const uint64_t rank = mix(item);
    if (static_cast<int64_t>(kept.size()) == most) {
      if (rank >= kept.rbegin()->first) return;
      if (kept.count(rank) == 0) kept.erase(std::prev(kept.end()));
    }
    kept.try_emplace(rank, point.begin(), point.end());
  });
  if (static_cast<int64_t>(kept.size()) < clusters) {
    throw UserError(format("%s: %zu items cannot make %lld clusters; lower --cluster-count",
                           path.c_str(), kept.size(), static_cast<long long>(clusters)));
  }
  std::vector<float> points;
  for (const auto& [rank, point] : kept) points.insert(points.end(), point.begin(), point.end());
  return points;
}

ClusterTable place_items(const std::string& path, int64_t clusters) {
  int64_t width = 0;
  const std::vector<float> sample = sample_points(path, clusters, width);
  const std::vector<float> centres = fit_centres(sample, width, clusters);
  // Equal lengths, so that names sort as numbers do.
  const int digits = static_cast<int>(std::to_string(clusters - 1).size());
  IdTable items(path, 1);
  std::vector<uint64_t> ids;
  std::vector<float> points;
  const auto place = [&] {
    const std::vector<int64_t> nearest = nearest_centre(points, centres, width);
    for (size_t index = 0; index < ids.size(); ++index) {
      const std::string name =
          format("cluster %0*lld", digits, static_cast<long long>(nearest[index]));
      const std::string_view text = name;
      items.add(ids[index], {&text, 1});
    }
    ids.clear();
    points.clear();
  };
  read_points(path, [&](uint64_t item, std::span<const float> point) {
    ids.push_back(item);
    points.insert(points.end(), point.begin(), point.end());
    if (static_cast<int64_t>(ids.size()) == kBatch) place();
  });
  place();
  items.finish();
  return ClusterTable(std::move(items));
}

// Distances by plain loops: a BLAS may round differently with the number of its threads, and is the
// slower for as few numbers an item as these.
void without_blas() {
  faiss::distance_compute_blas_threshold = std::numeric_limits<int>::max();
}

// First centres by D^2 sampling (k-means++; Arthur and Vassilvitskii 2007): each is a point drawn
// in proportion to its squared distance from the nearest one drawn before.
std::vector<float> first_centres(std::span<const float> points, int64_t width, int64_t clusters) {
  const auto count = static_cast<int64_t>(points.size()) / width;
  const auto point = [&](int64_t index) { return points.subspan(at(index * width), at(width)); };
  std::vector<double> distances(at(count), std::numeric_limits<double>::infinity());
  std::vector<float> centres;
  double total = 0;
  for (int64_t centre = 0; centre < clusters; ++centre) {
    const double draw = unit(mix(static_cast<uint64_t>(kSeed + centre)));
    auto drawn = static_cast<int64_t>(draw * static_cast<double>(count));
    if (total > 0) {
      double left = draw * total;
      for (drawn = 0; drawn + 1 < count && left >= distances[at(drawn)]; ++drawn) {
        left -= distances[at(drawn)];
      }
    }
    const std::span<const float> chosen = point(drawn);
    centres.insert(centres.end(), chosen.begin(), chosen.end());
    total = 0;
    for (int64_t index = 0; index < count; ++index) {
      const double distance =
          faiss::fvec_L2sqr(point(index).data(), chosen.data(), static_cast<size_t>(width));
      distances[at(index)] = std::min(distances[at(index)], distance);
      total += distances[at(index)];
    }
  }
  return centres;
}

}  // namespace

std::string_view ClusterTable::cluster_of(std::string_view item) const {
  const std::optional<size_t> row = items_.find(label_id(item));
  if (!row) return kUnknownCluster;
  const std::string_view cluster = items_.text(*row, 0);
  const bool unknown =
      cluster.empty() || std::find(unknown_.begin(), unknown_.end(), cluster) != unknown_.end();
  return unknown ? kUnknownCluster : cluster;
}

std::shared_ptr<const ClusterTable> read_clusters(const ClusterChoice& choice) {
  if (choice.clusters == 0) {
    const std::vector<std::string> header = csv_header(choice.file);
    if (header.size() < 2) {
      throw UserError(choice.file + ": a list of clusters has the item and then its cluster");
    }
    const std::string column = choice.column.empty() ? header[1] : choice.column;
    IdTable items = load_id_table({choice.file}, header[0], {{column, nullptr}});
    return std::make_shared<ClusterTable>(std::move(items), choice.unknown);
  }
  if (choice.clusters < 2 || choice.clusters > kMostFitted) {
    throw UserError(format("--cluster-count %lld: k-means makes 2 to %lld clusters",
                           static_cast<long long>(choice.clusters),
                           static_cast<long long>(kMostFitted)));
  }
  return std::make_shared<ClusterTable>(place_items(choice.file, choice.clusters));
}

std::vector<float> fit_centres(std::span<const float> points, int64_t width, int64_t clusters) {
  const auto count = static_cast<int64_t>(points.size()) / width;
  ALM_CHECK(width > 0 && clusters > 0 && count >= clusters &&
            width < std::numeric_limits<int>::max() && clusters < std::numeric_limits<int>::max());
  without_blas();
  faiss::ClusteringParameters parameters;
  parameters.niter = kIterations;
  parameters.seed = kSeed;  // of what splits an empty cluster
  parameters.min_points_per_centroid = 1;
  parameters.max_points_per_centroid = std::numeric_limits<int>::max();
  faiss::Clustering clustering(static_cast<int>(width), static_cast<int>(clusters), parameters);
  clustering.centroids = first_centres(points, width, clusters);
  faiss::IndexFlatL2 index(width);
  clustering.train(count, points.data(), index);
  return clustering.centroids;
}

std::vector<int64_t> nearest_centre(std::span<const float> points, std::span<const float> centres,
                                    int64_t width) {
  without_blas();
  faiss::IndexFlatL2 index(width);
  index.add(static_cast<int64_t>(centres.size()) / width, centres.data());
  const auto count = static_cast<int64_t>(points.size()) / width;
  std::vector<int64_t> nearest(at(count));
  if (count > 0) index.assign(count, points.data(), nearest.data());
  return nearest;
}

std::string k_means_version() {
  return format("%d.%d.%d", FAISS_VERSION_MAJOR, FAISS_VERSION_MINOR, FAISS_VERSION_PATCH);
}

}  // namespace alm::io
