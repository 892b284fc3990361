#include "launch/inspect_text.h"

#include <algorithm>
#include <vector>

#include "io/id_census.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

using io::Json;

constexpr size_t kTopClusters = 12;
constexpr size_t kBarWidth = 40;

std::string count(const Json& value) {
  return value.is_null() ? "-" : with_commas(value.get<int64_t>());
}

std::string percent(const Json& value) {
  return value.is_null() ? "-" : format("%.2f %%", 100 * value.get<double>());
}

std::string real(const Json& value) {
  return value.is_null() ? "-" : format("%.6g", value.get<double>());
}

// Characters, not bytes.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// In one line, no longer than fits.
std::string short_name(const std::string& text, size_t most = 28) {
  std::string out;
  for (const char c : io::one_line(text)) {
    if ((c & 0xc0) != 0x80 && width_of(out) == most) return out + "...";
    out += c;
  }
  return out;
}

// Columns set flush: the first to the left, the others to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void left(size_t column) { left_.push_back(column); }
  std::string text() const {
    std::vector<size_t> widths(rows_.front().size());
    for (const auto& row : rows_) {
      for (size_t at = 0; at < row.size(); ++at) {
        widths[at] = std::max(widths[at], width_of(row[at]));
      }
    }
    std::string out;
    for (const auto& row : rows_) {
      std::string line = " ";
      for (size_t at = 0; at < row.size(); ++at) {
        const std::string gap(widths[at] - width_of(row[at]), ' ');
        const bool flush_left = at == 0 || std::find(left_.begin(), left_.end(), at) != left_.end();
        line += " " + (flush_left ? row[at] + gap : gap + row[at]) + " ";
      }
      line.erase(line.find_last_not_of(' ') + 1);
      out += line + "\n";
    }
    return out;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<size_t> left_;
};

std::string heading(const char* title) {
  return format("\n%s\n", title);
}

std::string line(const char* what, const std::string& value) {
  return format("%-15s %s\n", what, value.c_str());
}

std::string distinct(const Json& ids) {
  return (ids["exact"].get<bool>() ? "" : "about ") + count(ids["distinct"]);
}

std::string joined(const Json& texts) {
  return texts.empty() ? "none" : join(texts.get<std::vector<std::string>>(), " ");
}

std::string span_text(const Json& range) {
  if (range.is_null()) return "none known";
  std::string text = range["first"].get<std::string>() + " to " + range["last"].get<std::string>();
  const double known = range["known"].get<double>();
  if (known < 1) text += format(", %.2f %% known", 100 * known);
  return text;
}

std::string head_text(const Json& json) {
  std::string text =
      line("log", json["kind"].get<std::string>() + ", " + json["schema"].get<std::string>());
  const int64_t files = json["files"].get<int64_t>();
  text +=
      line("files", count(json["files"]) + (files == 1 ? " file, " : " files, ") +
                        human_bytes(json["bytes"].get<double>()) + ", " + count(json["blocks"]) +
                        " blocks of at most " + count(json["block_rows"]) + " rows");
  text += line("manifest hash", json["manifest_hash"].get<std::string>());
  const bool counted = json.contains("users");
  text += line("journeys",
               count(json["rows"]) + (counted ? ", of " + distinct(json["users"]) + " users" : ""));
  text += line("touches", count(json["touches"]));
  std::string clusters = count(json["clusters"]);
  if (counted && !json["clusters_touched"].is_null()) {
    clusters += ", of which " + count(json["clusters_touched"]) + " are touched";
  }
  if (!json["reference_cluster"].is_null()) {
    clusters += ", reference " + count(json["reference_cluster"]);
  }
  return text + line("clusters", clusters);
}

std::string rates_text(const Json& json) {
  const bool binary = json["outcome"] == "binary";
  const auto mean = [&](const Json& value) { return binary ? percent(value) : real(value); };
  std::string outcome = json["outcome"].get<std::string>() + (binary ? ", rate " : ", mean ") +
                        mean(json["outcome_mean"]);
  if (!json["weight_mean"].is_null()) {
    outcome += ", weighted " + mean(json["outcome_mean_weighted"]) + " (mean weight " +
               real(json["weight_mean"]) + ")";
  }
  std::string text = line("outcome", outcome);
  text += line("mediator", json["mediator_known"].is_null()
                               ? "none"
                               : "rate " + percent(json["mediator_rate"]) + ", known for " +
                                     percent(json["mediator_known"]) + " of the touches");
  for (const Json& proxy : json["proxies"]) {
    text += line("proxy", short_name(proxy["name"].get<std::string>()) + ": rate " +
                              percent(proxy["rate"]) + ", known for " + percent(proxy["known"]) +
                              (proxy["leaky"] == true ? ", leaky" : ""));
  }
  text += line("present", joined(json["present"]));
  return text + line("absent", joined(json["absent"]));
}

std::string times_text(const Json& time) {
  std::string text = heading("Time");
  if (time["journey"].is_null()) {
    text += "  no /journey/time: whether touches lie before the outcome window is not checked\n";
  } else {
    text +=
        "  windows start   " + span_text(time["journey"]) +
        (time["journeys_in_order"] == true ? ", in order of time\n" : ", not in order of time\n");
  }
  for (const auto& [key, what] : {std::pair<const char*, const char*>{"touch", "touches"},
                                  {"outcome", "outcomes"},
                                  {"mediator", "mediators"}}) {
    if (!time[key].is_null()) text += format("  %-15s ", what) + span_text(time[key]) + "\n";
  }
  const auto note = [&](const char* key, const char* what) {
    if (!time[key].is_null() && time[key].get<int64_t>() > 0) {
      text += "  " + count(time[key]) + " " + what + "\n";
    }
  };
  note("outcomes_before_window", "outcomes lie before the start of their window");
  note("outcomes_without_time", "journeys have an outcome but no outcome time");
  return text;
}

std::string lengths_text(const Json& length) {
  std::string text = heading("Touches in a journey");
  text += format(
      "  mean %s, quartiles %s, %s, %s, 90 %% within %s, 99 %% within %s, longest %s\n",
      length["mean"].is_null() ? "-" : format("%.2f", length["mean"].get<double>()).c_str(),
      count(length["p25"]).c_str(), count(length["median"]).c_str(), count(length["p75"]).c_str(),
      count(length["p90"]).c_str(), count(length["p99"]).c_str(), count(length["longest"]).c_str());
  int64_t most = 1;
  for (const Json& bin : length["histogram"]) {
    most = std::max(most, bin["journeys"].get<int64_t>());
  }
  Table table({"touches", "journeys", ""});
  table.left(2);
  for (const Json& bin : length["histogram"]) {
    const auto from = bin["from"].get<int64_t>();
    const auto to = bin["to"].get<int64_t>();
    const auto journeys = bin["journeys"].get<int64_t>();
    const double share = static_cast<double>(journeys) / static_cast<double>(most);
    table.row({from == to ? with_commas(from) : with_commas(from) + " to " + with_commas(to),
               with_commas(journeys),
               std::string(static_cast<size_t>(share * static_cast<double>(kBarWidth) + .5), '#')});
  }
  return text + table.text();
}

std::string clusters_text(const Json& json) {
  if (json["cluster_rates"].empty()) {
    return heading("Clusters") + "  too many to be counted one by one\n";
  }
  std::vector<const Json*> clusters;
  for (const Json& cluster : json["cluster_rates"]) clusters.push_back(&cluster);
  std::stable_sort(clusters.begin(), clusters.end(), [](const Json* a, const Json* b) {
    return (*a)["touches"].get<int64_t>() > (*b)["touches"].get<int64_t>();
  });
  const size_t shown = std::min(kTopClusters, clusters.size());
  std::string text = heading(shown < clusters.size() ? "Clusters with most touches (all: --json)"
                                                     : "Clusters by touches");
  const bool binary = json["outcome"] == "binary";
  const bool randomised = !json["overlap"]["randomised_share"].is_null();
  std::vector<std::string> head{"cluster", "touches", "journeys", "share", "outcome", "mediator"};
  if (randomised) head.push_back("randomised");
  Table table(head);
  for (size_t at = 0; at < shown; ++at) {
    const Json& c = *clusters[at];
    std::string name = c["name"].get<std::string>();
    const std::string number = count(c["cluster"]);
    name = name == "cluster " + number ? number : number + " " + short_name(name);
    std::vector<std::string> cells{name,
                                   count(c["touches"]),
                                   count(c["journeys"]),
                                   percent(c["journey_share"]),
                                   binary ? percent(c["outcome_mean"]) : real(c["outcome_mean"]),
                                   percent(c["mediator_rate"])};
    if (randomised) cells.push_back(percent(c["randomised_share"]));
    table.row(cells);
  }
  return text + table.text();
}

std::string overlap_text(const Json& overlap) {
  std::string text = heading("Overlap");
  const Json& shares = overlap["journey_share_of_clusters"];
  if (!shares.is_null()) {
    text += "  a cluster is touched by " + percent(shares["lowest"]) + " to " +
            percent(shares["highest"]) + " of the journeys, median " + percent(shares["median"]) +
            "; " + count(overlap["clusters_below_20_journeys"]) + " clusters by fewer than 20\n";
  }
  text += overlap["randomised_share"].is_null()
              ? std::string("  no touch is marked as randomised\n")
              : "  " + percent(overlap["randomised_share"]) + " of the touches were randomised\n";
  const Json& propensity = overlap["propensity"];
  if (!propensity.is_null()) {
    text += "  propensities " + real(propensity["lowest"]) + " to " + real(propensity["highest"]) +
            ", known for " + percent(propensity["known"]) +
            "; weighted by them the touches are worth " +
            format("%s even ones\n", human_count(propensity["ess"].get<double>()).c_str());
    if (propensity["below_1e-6"].get<int64_t>() > 0) {
      text += "  " + count(propensity["below_1e-6"]) + " propensities lie below 1e-6\n";
    }
  }
  return text;
}

std::string columns_text(const Json& columns) {
  Table table({"column", "missing", "lowest", "highest"});
  for (const Json& column : columns) {
    const std::string name = column["name"].get<std::string>();
    table.row({column["data_set"].get<std::string>() + (name.empty() ? "" : " " + short_name(name)),
               percent(column["missing"]), real(column["lowest"]), real(column["highest"])});
  }
  return heading("Real columns") + table.text();
}

std::string storage_text(const Json& storage) {
  Table table(
      {"data set", "type", "columns", "stored as", "chunks", "size", "on disk", "checksum"});
  table.left(3);
  for (const Json& set : storage["data_sets"]) {
    table.row({set["data_set"].get<std::string>(), set["type"].get<std::string>(),
               count(set["columns"]), join(set["layouts"].get<std::vector<std::string>>(), " or "),
               count(set["chunks"]), human_bytes(set["bytes"].get<double>()),
               set["stored_bytes"].is_null() ? "-" : human_bytes(set["stored_bytes"].get<double>()),
               set["checksum"].get<bool>() ? "yes" : "no"});
  }
  std::string text = heading("Storage") + table.text();
  for (const Json& advice : storage["advice"])
    text += "  advice: " + advice.get<std::string>() + "\n";
  return text;
}

std::string verify_text(const Json& verify) {
  std::string text = heading("Verification");
  text += "  " + human_bytes(verify["checked_bytes"].get<double>()) + " against checksums, " +
          human_bytes(verify["unchecked_bytes"].get<double>()) + " without one";
  if (!verify["bytes_per_second"].is_null()) {
    text += ", " + human_bytes(verify["bytes_per_second"].get<double>()) + "/s";
  }
  text += "; " + count(verify["damaged"]) + " damaged\n";
  for (const Json& fault : verify["damage"]) text += "  " + fault.get<std::string>() + "\n";
  return text;
}

std::string bad_rows(const Json& json) {
  if (json["bad_rows"] == 0) return "";
  std::string text = heading("Bad rows");
  for (const Json& kind : json["bad_row_kinds"]) {
    text += "  " + count(kind["rows"]) + "  " + kind["what"].get<std::string>() + "\n";
    for (const Json& example : kind["examples"]) {
      text += "      " + example.get<std::string>() + "\n";
    }
  }
  return text;
}

}  // namespace

std::string inspect_text(const Json& json) {
  std::string text = head_text(json);
  if (json.contains("users")) {
    text += rates_text(json) + times_text(json["time"]) + lengths_text(json["journey_length"]) +
            clusters_text(json) + overlap_text(json["overlap"]) + columns_text(json["columns"]);
    if (!json["ids"].empty()) text += heading("Ids") + io::id_census_text(json["ids"]);
  }
  text += storage_text(json["storage"]);
  if (!json["verify"].is_null()) text += verify_text(json["verify"]);
  if (json.contains("users")) text += bad_rows(json);
  if (json["valid"] == true) {
    text += json["bad_rows"] == 0 ? "\nThe log is valid.\n"
                                  : "\nThe log is valid without the bad rows.\n";
    return text;
  }
  text += "\nThe log is not valid:\n";
  for (const Json& problem : json["problems"]) text += "  " + problem.get<std::string>() + "\n";
  return text;
}

}  // namespace alm
