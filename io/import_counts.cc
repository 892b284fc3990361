#include "io/import_counts.h"

#include <algorithm>

namespace alm::io {

void ImportCounts::add(const ImportCounts& other) {
  rows_kept += other.rows_kept;
  bad_rows += other.bad_rows;
  rows_dropped += other.rows_dropped;
  journeys += other.journeys;
  journeys_dropped += other.journeys_dropped;
  windows_open += other.windows_open;
  touches += other.touches;
  outcome.add(other.outcome);
  clusters.resize(std::max(clusters.size(), other.clusters.size()));
  for (size_t id = 0; id < other.clusters.size(); ++id) {
    clusters[id].touches += other.clusters[id].touches;
    clusters[id].observed += other.clusters[id].observed;
    clusters[id].mediators += other.clusters[id].mediators;
    clusters[id].outcome.add(other.clusters[id].outcome);
  }
  for (const auto& [why, rows] : other.dropped) dropped[why] += rows;
  if (other.first_bad_row.part >= 0) {
    first_bad_row.offer(other.first_bad_row.part, other.first_bad_row.row,
                        other.first_bad_row.words);
  }
}

void ImportCounts::put(BytesWriter& to) const {
  for (const int64_t count :
       {rows_kept, bad_rows, rows_dropped, journeys, journeys_dropped, windows_open, touches}) {
    to.put(count);
  }
  to.put(outcome);
  to.put(static_cast<int64_t>(clusters.size()));
  for (const Cluster& cluster : clusters) to.put(cluster);
  to.put(static_cast<int64_t>(dropped.size()));
  for (const auto& [why, rows] : dropped) {
    to.put_text(why);
    to.put(rows);
  }
  to.put(first_bad_row.part);
  to.put(first_bad_row.row);
  to.put_text(first_bad_row.words);
}

ImportCounts ImportCounts::get(BytesReader& from) {
  ImportCounts counts;
  for (int64_t* count :
       {&counts.rows_kept, &counts.bad_rows, &counts.rows_dropped, &counts.journeys,
        &counts.journeys_dropped, &counts.windows_open, &counts.touches}) {
    *count = from.get<int64_t>();
  }
  counts.outcome = from.get<FixedSum>();
  counts.clusters.resize(static_cast<size_t>(from.get<int64_t>()));
  for (Cluster& cluster : counts.clusters) cluster = from.get<Cluster>();
  for (int64_t left = from.get<int64_t>(); left > 0; --left) {
    const std::string why = from.get_text();
    counts.dropped[why] = from.get<int64_t>();
  }
  counts.first_bad_row.part = from.get<int64_t>();
  counts.first_bad_row.row = from.get<int64_t>();
  counts.first_bad_row.words = from.get_text();
  return counts;
}

}  // namespace alm::io
