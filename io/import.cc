#include "io/import.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <utility>

#include "io/bytes.h"
#include "io/field.h"
#include "io/import_workspace.h"
#include "io/journey_builder.h"
#include "io/log_writer.h"
#include "io/spilled_lots.h"
#include "io/table_intake.h"
#include "kernels/base/check.h"
#include "kernels/base/stop_flag.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kWriteRows = 4096;  // journeys handed to the writer at once
// Unix milliseconds in 1973: a log that ends before is one of seconds, read as milliseconds.
constexpr int64_t kEarliestEnd = 100'000'000'000;

size_t at(int64_t index) {
  return static_cast<size_t>(index);
}

// Whole numbers by size, else bytewise.
void sort_names(std::vector<std::string>& names) {
  const bool whole = std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return parse_whole(name).has_value();
  });
  std::sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    if (!whole) return a < b;
    return std::pair(*parse_whole(a), a) < std::pair(*parse_whole(b), b);
  });
}

class Import {
 public:
  Import(const std::vector<std::string>& tables, const Mapping& mapping,
         const ImportOptions& options)
      : tables_(tables), mapping_(mapping), options_(options), parser_(mapping) {}

  ImportSummary run(const std::string& out) {
    prepare(out);
    read_tables();
    number_clusters();
    count_users();
    group();
    keep_used_clusters();
    write();
    describe();
    return std::move(summary_);
  }

 private:
  // Thrown where another process has failed, whose error all are about to throw.
  struct EndedEarly {};

  // COLLECTIVE: what `work` returned on every process. When it throws on any, all throw: the error
  // of the lowest rank, which has the first tables and lots.
  template <class Work>
  std::vector<std::string> all_do(Work&& work) {
    std::string mine;
    const auto body = [&] {
      try {
        mine = work();
      } catch (const EndedEarly&) {
      } catch (const fs::filesystem_error& error) {
        throw MachineError(error.what());
      }
    };
    if (options_.ranks.ranks == 1) {
      body();
      return {mine};
    }
    options_.ranks.together(body);
    return options_.ranks.all_gather(mine);
  }

  int64_t rank() const { return options_.ranks.rank; }
  int64_t ranks() const { return options_.ranks.ranks; }

  // Says how far this process is, and looks whether to go on.
  void tell(const char* phase, int64_t done, int64_t total, int64_t rows) const {
    if (options_.on_progress) options_.on_progress({phase, done, total, rows});
    if (stop_requested()) throw Stopped("import");
    if (options_.ranks.ranks > 1 && options_.ranks.alarm()) throw EndedEarly();
  }

  void prepare(const std::string& out) {
    out_ = all_do([&]() -> std::string {
      if (rank() != 0) return "";
      try {
        const fs::path path = checked_out(out);
        workspace_.emplace(path);
        return path.string();
      } catch (const fs::filesystem_error& error) {
        throw UserError(out + ": cannot be made: " + error.code().message() +
                        "; --out names a new directory in one that can be written");
      }
    })[0];
    for (int64_t each = 0; each < ranks(); ++each) {
      const std::string number = std::to_string(each);
      row_files_.push_back((fs::path(out_ + ".spill") / ("rows-" + number)).string());
      label_files_.push_back((fs::path(out_ + ".spill") / ("labels-" + number)).string());
    }
  }

  void read_tables() {
    std::vector<int64_t> bytes;
    for (const std::string& table : tables_) {
      std::error_code none;
      const auto size = fs::file_size(table, none);
      bytes.push_back(none ? 0 : static_cast<int64_t>(size));
    }
    const std::vector<int64_t> first = share_tables(bytes, ranks());
    const std::vector<std::string> all = all_do([&] {
      TableIntake intake(mapping_, options_.on_bad_row, tables_,
                         partitions_for(mapping_, tables_, bytes), row_files_[at(rank())],
                         label_files_[at(rank())], rank());
      const auto begin = bytes.begin() + first[at(rank())];
      const auto end = bytes.begin() + first[at(rank() + 1)];
      const int64_t total = std::accumulate(begin, end, int64_t{0});
      int64_t before = 0;
      for (int64_t table = first[at(rank())]; table < first[at(rank() + 1)]; ++table) {
        intake.read(table,
                    [&](int64_t done) { tell("read", before + done, total, intake.rows()); });
        before += bytes[at(table)];
      }
      return intake.finish().pack();
    });
    for (const std::string& packed : all) take_in(Intake::unpack(packed));
    facts_.first_row.push_back(0);
    for (const int64_t rows : rows_of_table_) {
      facts_.first_row.push_back(facts_.first_row.back() + rows);
    }
    summary_.rows_read = facts_.first_row.back();
    facts_.schema = parser_.schema();
    facts_.schema.outcome =
        mapping_.outcome_kind.value_or(is_binary_ ? OutcomeKind::binary : OutcomeKind::continuous);
    facts_.parts = tables_;
    facts_.on_bad_row = options_.on_bad_row;
    facts_.log_end = last_time_;
    if (mapping_.window && mapping_.window->end) facts_.log_end = *mapping_.window->end;
    lots_ = plan_lots(pieces_, mapping_.form == RowForm::journey, options_.lot_bytes);
    pieces_ = {};
  }

  void take_in(Intake intake) {
    rows_of_table_.resize(tables_.size());
    for (size_t table = 0; table < tables_.size(); ++table) {
      rows_of_table_[table] += intake.rows[table];
    }
    const auto append = [](const std::vector<std::vector<SpillPiece>>& from,
                           std::vector<std::vector<SpillPiece>>& to) {
      to.resize(from.size());
      for (size_t part = 0; part < from.size(); ++part) {
        to[part].insert(to[part].end(), from[part].begin(), from[part].end());
      }
    };
    append(intake.pieces, pieces_);
    append(intake.labels, labels_);
    names_of_file_.push_back(std::move(intake.clusters));
    counts_.add(intake.counts);
    is_binary_ = is_binary_ && intake.is_binary;
    last_time_ = std::max(last_time_, intake.last_time);
  }

  // Ids of all names met: in sorted order, until those that no journey keeps are left out.
  void number_clusters() {
    std::unordered_map<std::string, uint32_t> ids;
    for (const std::vector<std::string>& names : names_of_file_) {
      for (const std::string& name : names) ids.emplace(name, 0);
    }
    for (const auto& [name, id] : ids) names_.push_back(name);
    sort_names(names_);
    for (size_t id = 0; id < names_.size(); ++id) ids[names_[id]] = static_cast<uint32_t>(id);
    for (const std::vector<std::string>& names : names_of_file_) {
      std::vector<uint32_t>& of_file = facts_.clusters.emplace_back();
      for (const std::string& name : names) of_file.push_back(ids[name]);
    }
    facts_.clusters_named = static_cast<int64_t>(names_.size());
    names_of_file_ = {};
  }

  void count_users() {
    for (const std::string& packed : all_do([&] {
           LabelCounts mine;
           for (int64_t part = rank(); part < kLabelPartitions; part += ranks()) {
             const LabelCounts counts = count_labels(label_files_, labels_[at(part)]);
             mine.labels += counts.labels;
             mine.ids += counts.ids;
           }
           BytesWriter to;
           to.put(mine);
           return to.take();
         })) {
      const auto counts = BytesReader(packed).get<LabelCounts>();
      summary_.users.labels += counts.labels;
      summary_.users.ids += counts.ids;
    }
    labels_ = {};
  }

  // Neighbouring lots to each process, so that the first error is of the lowest one.
  int64_t first_lot(int64_t of_rank) const {
    return static_cast<int64_t>(lots_.size()) * of_rank / ranks();
  }

  void group() {
    const std::vector<std::string> all = all_do([&] {
      BytesWriter to;
      ImportCounts mine;
      JourneyBuilder builder(mapping_, parser_, facts_);
      const int64_t first = first_lot(rank()), last = first_lot(rank() + 1);
      for (int64_t lot = first; lot < last; ++lot) {
        load_lot(lots_[at(lot)], row_files_, spilled_);
        builder.build(spilled_);
        builder.count(mine);
        to.put(builder.journeys());
        tell("group", lot + 1 - first, last - first, summary_.rows_read);
      }
      mine.put(to);
      return to.take();
    });
    for (int64_t each = 0; each < ranks(); ++each) {
      BytesReader from(all[at(each)]);
      for (int64_t lot = first_lot(each); lot < first_lot(each + 1); ++lot) {
        journeys_of_lot_.push_back(from.get<int64_t>());
      }
      counts_.add(ImportCounts::get(from));
    }
    if (counts_.journeys > 0) return;
    throw UserError(
        format("%s: no %s is left to import (%s read%s)", tables_.back().c_str(),
               summary_.rows_read > 0 && counts_.windows_open > 0 ? "closed window" : "row",
               with_commas(summary_.rows_read).c_str(),
               counts_.windows_open > 0 ? format("; %s windows reach past the log's end",
                                                 with_commas(counts_.windows_open).c_str())
                                              .c_str()
                                        : ""));
  }

  // Clusters that only journeys left out touch are none.
  void keep_used_clusters() {
    std::vector<uint32_t> final_id(names_.size());
    counts_.clusters.resize(names_.size());
    std::vector<std::string>& names = facts_.schema.cluster_names;
    for (size_t id = 0; id < names_.size(); ++id) {
      final_id[id] = static_cast<uint32_t>(names.size());
      if (counts_.clusters[id].touches > 0) names.push_back(names_[id]);
    }
    if (names.empty()) {
      throw UserError(tables_.back() + ": no row names a cluster, so there are no touches");
    }
    std::erase_if(counts_.clusters,
                  [](const ImportCounts::Cluster& cluster) { return cluster.touches == 0; });
    for (std::vector<uint32_t>& ids : facts_.clusters) {
      for (uint32_t& id : ids) id = final_id[id];
    }
    facts_.schema.clusters = facts_.clusters_named = static_cast<int64_t>(names.size());
    if (mapping_.form != RowForm::journey) return;
    const auto reference = std::find(names.begin(), names.end(), mapping_.reference_arm);
    if (reference == names.end()) {
      throw UserError(format("%s: the reference_arm '%s' does not occur; the arms are %s",
                             mapping_.name.c_str(), mapping_.reference_arm.c_str(),
                             join(names, ", ").substr(0, 400).c_str()));
    }
    facts_.schema.reference_cluster = reference - names.begin();
  }

  // File f holds journeys [f * rows_per_file, ...) and is written by process f % ranks.
  void write() {
    const int64_t per_file = options_.rows_per_file;
    const int64_t files = (counts_.journeys + per_file - 1) / per_file;
    all_do([&]() -> std::string {
      JourneyBuilder builder(mapping_, parser_, facts_);
      for (int64_t file = rank(); file < files; file += ranks()) write_file(file, builder);
      return "";
    });
    all_do([&]() -> std::string {
      if (rank() == 0) fs::rename(out_ + ".tmp", out_);
      return "";
    });
    workspace_.reset();
    for (int64_t file = 0; file < files; ++file) {
      summary_.files.push_back((fs::path(out_) / log_file_name(file)).string());
    }
  }

  void write_file(int64_t file, JourneyBuilder& builder) {
    const int64_t first = file * options_.rows_per_file;
    const int64_t last = std::min(counts_.journeys, first + options_.rows_per_file);
    LogWriter writer((fs::path(out_ + ".tmp") / log_file_name(file)).string(), facts_.schema,
                     last - first, Codec::deflate);
    Journeys part;
    int64_t lot_first = 0;  // journey of the log that the lot begins with
    for (int64_t lot = 0; lot_first < last; ++lot) {
      const int64_t lot_last = lot_first + journeys_of_lot_[at(lot)];
      if (lot_last > first) {
        if (lot != built_lot_) {
          load_lot(lots_[at(lot)], row_files_, spilled_);
          builder.build(spilled_);
          built_lot_ = lot;
        }
        const int64_t end = std::min(last, lot_last) - lot_first;
        for (int64_t row = std::max(first, lot_first) - lot_first; row < end; ++row) {
          builder.append(row, part);
          if (part.size() < kWriteRows) continue;
          writer.append(part);
          part.clear();
        }
        tell("write", std::min(last, lot_last), counts_.journeys, summary_.rows_read);
      }
      lot_first = lot_last;
    }
    writer.append(part);
    writer.finish();
  }

  void describe() {
    summary_.schema = facts_.schema;
    summary_.rows_kept = counts_.rows_kept;
    summary_.dropped = counts_.dropped;
    if (counts_.rows_dropped > counts_.bad_rows) {
      summary_.dropped["another row of the journey is bad"] =
          counts_.rows_dropped - counts_.bad_rows;
    }
    summary_.first_bad_row = counts_.first_bad_row.words;
    summary_.journeys = counts_.journeys;
    summary_.journeys_dropped = counts_.journeys_dropped;
    summary_.windows_open = counts_.windows_open;
    summary_.touches = counts_.touches;
    summary_.mean_outcome = counts_.outcome.value() / static_cast<double>(counts_.journeys);
    for (size_t id = 0; id < counts_.clusters.size(); ++id) {
      const ImportCounts::Cluster& cluster = counts_.clusters[id];
      summary_.clusters.push_back(
          {facts_.schema.cluster_names[id], cluster.touches,
           cluster.outcome.value() / static_cast<double>(cluster.touches),
           static_cast<double>(cluster.mediators) / static_cast<double>(cluster.observed)});
    }
    const bool is_timed = last_time_ != std::numeric_limits<int64_t>::min();
    if (is_timed && last_time_ < kEarliestEnd && !mapping_.time_unit_given) {
      summary_.warnings.push_back(
          "all times lie before 1973 when read as milliseconds: if they are seconds, say "
          "time_unit = s in [file] and import again");
    }
  }

  const std::vector<std::string>& tables_;
  const Mapping& mapping_;
  const ImportOptions& options_;
  RowParser parser_;
  std::optional<ImportWorkspace> workspace_;  // of rank 0
  std::string out_;
  std::vector<std::string> row_files_, label_files_;  // by rank

  std::vector<int64_t> rows_of_table_;
  std::vector<std::vector<SpillPiece>> pieces_, labels_;  // by partition
  std::vector<std::vector<std::string>> names_of_file_;   // of clusters, by spill file
  std::vector<std::string> names_;                        // of clusters, sorted
  bool is_binary_ = true;
  int64_t last_time_ = std::numeric_limits<int64_t>::min();
  ImportFacts facts_;
  std::vector<Lot> lots_;
  std::vector<int64_t> journeys_of_lot_;
  SpilledRows spilled_;
  int64_t built_lot_ = -1;
  ImportCounts counts_;
  ImportSummary summary_;
};

}  // namespace

ImportSummary import_tables(const std::vector<std::string>& tables, const Mapping& mapping,
                            const std::string& out, const ImportOptions& options) {
  ALM_CHECK(options.rows_per_file > 0 && !tables.empty() && options.ranks.ranks > 0);
  return Import(tables, mapping, options).run(out);
}

}  // namespace alm::io
