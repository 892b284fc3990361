#include "io/cluster_fit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>

#include "kernels/base/check.h"
#include "kernels/base/rng.h"
#include "kernels/base/text.h"
#include "table_folder.h"

namespace alm::io {
namespace {

namespace fs = std::filesystem;

class Clusters : public TableFolder {
 protected:
  static std::string error_of(const ClusterChoice& choice) {
    try {
      read_clusters(choice);
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }
};

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

// `count` lines "ITEM,x,y" around `centres` corners of a square grid of side 10; item i belongs to
// corner i % centres.
std::vector<std::string> blobs(int count, int centres) {
  std::vector<std::string> lines;
  for (int item = 0; item < count; ++item) {
    Rng rng(7, Stream::test, static_cast<uint64_t>(item));
    const int corner = item % centres;
    lines.push_back(format("item-%d,%.6f,%.6f\n", item, 10.0 * (corner % 3) + 0.3 * rng.normal(),
                           10.0 * (corner / 3) + 0.3 * rng.normal()));
  }
  return lines;
}

std::string table_of(const std::vector<std::string>& lines) {
  return std::accumulate(lines.begin(), lines.end(), std::string("item,x,y\n"));
}

TEST_F(Clusters, AListNamesTheClusterOfEachItem) {
  const std::string file =
      write("list.csv", "video,level1,level2\n7,pets,cats\nx,\"a, b\",\n9,,d\n");
  const auto second = read_clusters({file});
  EXPECT_EQ(second->items(), 3);
  EXPECT_EQ(second->cluster_of("7"), "pets");
  EXPECT_EQ(second->cluster_of("x"), "a, b");
  EXPECT_EQ(second->cluster_of("9"), "unknown");
  EXPECT_EQ(second->cluster_of("8"), "unknown");
  const auto named = read_clusters({file, 0, "level2", {"d"}});
  EXPECT_EQ(named->cluster_of("7"), "cats");
  EXPECT_EQ(named->cluster_of("x"), "unknown");
  EXPECT_EQ(named->cluster_of("9"), "unknown");
}

TEST_F(Clusters, AListThatContradictsItselfIsRefused) {
  expect_contains(error_of({write("a.csv", "item,c\n3,x\n1,y\n3,z\n")}),
                  "id 3 stands in two rows that differ");
  EXPECT_EQ(error_of({write("b.csv", "item,c\n3,x\n1,y\n3,x\n")}), "no error");
  expect_contains(error_of({write("c.csv", "item\n3\n")}), "the item and then its cluster");
  expect_contains(error_of({write("d.csv", "item,c\n3,x\n"), 0, "k"}), "no column is called 'k'");
  expect_contains(error_of({write("e.csv", "item,c\n,x\n")}), "line 2, column 'item': is missing");
  expect_contains(error_of({write("f.csv", "item,c\n1\n")}), "line 2: 1 fields");
  expect_contains(error_of({write("g.csv", "")}), "is empty");
  expect_contains(error_of({(folder_ / "none.csv").string()}), "cannot be opened");
}

TEST_F(Clusters, KMeansFindsWhatLiesTogether) {
  const int centres = 6;
  const auto clusters =
      read_clusters({write("items.csv", table_of(blobs(2003, centres))), centres});
  EXPECT_EQ(clusters->items(), 2003);
  std::set<std::string_view> of_corner[centres];
  for (int item = 0; item < 2003; ++item) {
    of_corner[item % centres].insert(clusters->cluster_of(format("item-%d", item)));
  }
  std::set<std::string_view> all;
  for (const auto& names : of_corner) {
    EXPECT_EQ(names.size(), 1u);
    all.insert(names.begin(), names.end());
  }
  EXPECT_EQ(all.size(), 6u);
  EXPECT_EQ(*all.begin(), "cluster 0");
  EXPECT_EQ(clusters->cluster_of("item-2003"), "unknown");
}

TEST_F(Clusters, KMeansDoesNotDependOnTheOrderOfTheCatalogue) {
  std::vector<std::string> lines = blobs(4099, 5);
  const auto first = read_clusters({write("a.csv", table_of(lines)), 11});
  std::reverse(lines.begin(), lines.end());
  std::rotate(lines.begin(), lines.begin() + 1009, lines.end());
  const auto second = read_clusters({write("b.csv", table_of(lines)), 11});
  for (int item = 0; item < 4099; ++item) {
    const std::string name = format("item-%d", item);
    ASSERT_EQ(first->cluster_of(name), second->cluster_of(name)) << name;
  }
}

// Lloyd's fixed point: each centre is the mean of the points nearest to it.
TEST_F(Clusters, CentresAreMeansOfTheirPoints) {
  const int64_t width = 3, count = 1009, clusters = 17;
  std::vector<float> points;
  for (int64_t index = 0; index < count * width; ++index) {
    points.push_back(
        static_cast<float>(Rng(3, Stream::test, static_cast<uint64_t>(index)).normal()));
  }
  const std::vector<float> centres = fit_centres(points, width, clusters);
  ASSERT_EQ(static_cast<int64_t>(centres.size()), clusters * width);
  const std::vector<int64_t> nearest = nearest_centre(points, centres, width);
  std::vector<double> sums(static_cast<size_t>(clusters * width)), counts(clusters);
  double spread = 0, total = 0;
  for (int64_t point = 0; point < count; ++point) {
    double best = INFINITY, own = 0;
    for (int64_t centre = 0; centre < clusters; ++centre) {
      double distance = 0;
      for (int64_t part = 0; part < width; ++part) {
        const double gap = points[static_cast<size_t>(point * width + part)] -
                           centres[static_cast<size_t>(centre * width + part)];
        distance += gap * gap;
      }
      best = std::min(best, distance);
      if (centre == nearest[static_cast<size_t>(point)]) own = distance;
    }
    EXPECT_NEAR(own, best, 1e-5);
    spread += best;
    counts[static_cast<size_t>(nearest[static_cast<size_t>(point)])] += 1;
    for (int64_t part = 0; part < width; ++part) {
      const double value = points[static_cast<size_t>(point * width + part)];
      sums[static_cast<size_t>(nearest[static_cast<size_t>(point)] * width + part)] += value;
      total += value * value;
    }
  }
  double largest = 0;
  for (int64_t centre = 0; centre < clusters; ++centre) {
    ASSERT_GT(counts[static_cast<size_t>(centre)], 0);
    for (int64_t part = 0; part < width; ++part) {
      const auto at = static_cast<size_t>(centre * width + part);
      largest =
          std::max(largest, std::abs(sums[at] / counts[static_cast<size_t>(centre)] - centres[at]));
    }
  }
  // 25 iterations come near the fixed point, not onto it.
  EXPECT_LT(largest, 0.1);
  EXPECT_LT(spread / total, 0.25);
}

TEST_F(Clusters, WhatKMeansCannotUseIsRefused) {
  expect_contains(error_of({write("a.csv", "item,x\n1,2\n2,cat\n"), 2}),
                  "line 3, column 'x': 'cat' is not a number");
  expect_contains(error_of({write("b.csv", "item,x\n1,2\n2,inf\n"), 2}), "'inf' is not a number");
  expect_contains(error_of({write("c.csv", "item,x\n1,2\n2,\n"), 2}), "line 3, column 'x'");
  expect_contains(error_of({write("d.csv", "item,x\n1,2\n1,3\n2,5\n"), 3}),
                  "2 items cannot make 3 clusters");
  expect_contains(error_of({write("e.csv", "item,x\n1,2,3\n"), 2}), "line 2: 3 fields");
  expect_contains(error_of({write("f.csv", "item\n1\n"), 2}), "numbers behind it");
  expect_contains(error_of({write("g.csv", "item,x\n,1\n"), 2}), "column 'item': is missing");
  expect_contains(error_of({write("h.csv", "item,x\n1,2\n"), 1}), "makes 2 to");
}

}  // namespace
}  // namespace alm::io
