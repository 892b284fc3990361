// Proxy mode: the scores that stand where effects would, and what the code looks like.
#include <algorithm>

#include "engine/report/fields.h"
#include "engine/report/html.h"
#include "engine/report/sections.h"

namespace alm::report {
namespace {

constexpr size_t kTableRows = 1000;  // estimates.json has all
constexpr int64_t kNameLength = 48;

std::string cell(const Number& value, int decimals) {
  return "<td>" + (value ? fixed(*value, decimals) : std::string("–")) + "</td>";
}

std::string table(const io::Json& scores) {
  std::vector<const io::Json*> rows;
  for (const io::Json& score : scores) {
    if (score.is_object()) rows.push_back(&score);
  }
  std::stable_sort(rows.begin(), rows.end(), [](const io::Json* left, const io::Json* right) {
    return number(*left, "paper").value_or(-1e300) > number(*right, "paper").value_or(-1e300);
  });
  const bool truth = std::any_of(rows.begin(), rows.end(), [](const io::Json* score) {
    return number(*score, "truth.do").has_value();
  });
  const size_t all = rows.size();
  if (rows.size() > kTableRows) rows.resize(kTableRows);
  std::string html =
      "<div class=\"scroll\"><table><thead><tr><th>cluster</th><th>touches</th><th>paper</th>"
      "<th>do</th><th>ett</th><th>naive</th><th>back-door</th>" +
      std::string(truth ? "<th>true do</th>" : "") + "</tr></thead>\n<tbody>\n";
  for (const io::Json* score : rows) {
    std::string name = text(*score, "name");
    if (name.empty()) name = "cluster " + text(*score, "cluster");
    html += "<tr><th><bdi>" + escape(shorten(name, kNameLength)) + "</bdi></th>";
    html += "<td>" + count(number(*score, "touches").value_or(0)) + "</td>";
    for (const char* path : {"paper", "do.plugin", "ett.plugin", "naive", "backdoor"}) {
      html += cell(number(*score, path), 5);
    }
    if (truth) html += cell(number(*score, "truth.do"), 5);
    html += "</tr>\n";
  }
  return "<details open=\"open\"><summary>" +
         (all > rows.size() ? "The " + count(static_cast<double>(rows.size())) + " largest of "
                            : std::string("All ")) +
         counted(static_cast<double>(all), "cluster", "clusters") + ", by the paper's score" +
         "</summary>\n" + html + "</tbody></table></div></details>\n";
}

std::string monitors(const io::Json& identification) {
  const io::Json& code = child(identification, "code");
  if (!code.is_object()) return "";
  const std::string share = value_or_why(identification, "mediator_variance_share", 4);
  constexpr TileSpec kTold[] = {
      {"outcome_auc", "Outcome AUC", "with the code", 4},
      {"outcome_auc_backdoor", "Outcome AUC, back-door",
       "where they are equal the code adds nothing", 4},
      {"value_mean", "Mean of the code's value", "as it was taught", 4},
      {"match_mean", "Mean match", "where it is defined", 4},
      {"match_mean_filled", "Mean match, read as 0", "were undefined matches filled", 4},
      {"match_without_outcome_share", "Matches without an outcome", "share; should be 0", 4},
  };
  constexpr TileSpec kCollapse[] = {
      {"code_variance", "Variance of the code", "sum over its numbers; 0: collapsed", 4},
      {"value_variance", "Variance of its value", "", 4},
      {"value_cluster_share", "Share between clusters", "of the value's variance", 3},
      {"cluster_information", "Information on the cluster", "nats, by a Gaussian: a stand-in", 3},
      {"match_auc", "Match AUC", "with the code", 4},
      {"match_auc_without_code", "Match AUC without the code", "touches and context alone", 4},
      {"discriminator_loss", "Discriminator's loss", "no evidence of a sound code", 4},
      {"entropy_floor", "Entropy of the outcome", "its loss if it knew nothing", 4},
  };
  return "<h3>What tells that these are no effects</h3>\n<dl class=\"tiles\">\n" +
         tile("Variance of the code given touches and context", share,
              "share of its variance; 0 for a code of touches and context alone") +
         tiles(code, kTold) + "</dl>\n<h3>What tells a collapse</h3>\n<dl class=\"tiles\">\n" +
         tiles(code, kCollapse) + "</dl>\n";
}

std::string against_truth(const io::Json& truth, const char* which, const std::string& title) {
  const io::Json& of = child(truth, which);
  if (!of.is_object()) return "";
  constexpr TileSpec kTiles[] = {
      {"cluster_spearman", "Rank agreement", "Spearman over clusters; 1 is perfect", 3},
      {"oracle_auuc_05", "Uplift collected by the score", "auuc_05 with true gains; chance 0.5", 3},
      {"backdoor_auuc_05", "Uplift collected by back-door", "the same scale", 3},
      {"slope", "Slope", "truth on score, per touch; 1 is calibrated", 3},
      {"ratio", "Ratio", "mean score / mean truth; near 1 says nothing of the ranking", 3},
      {"touch_rmse", "Error per touch", "root mean square", 4},
      {"touch_sd", "Spread of the truth", "standard deviation per touch", 4},
  };
  return "<h3>" + title + " against the true do effect</h3>\n<dl class=\"tiles\">\n" +
         tiles(of, kTiles) + "</dl>\n";
}

}  // namespace

std::string scores_section(const io::Json& estimates) {
  const io::Json& scores = child(estimates, "scores");
  if (!scores.is_array()) return "";
  const io::Json& truth = child(estimates, "truth");
  return section(
      "scores", "Scores of proxy mode",
      "<p>The paper's score of a touch is the prediction with it minus the prediction without it, "
      "touches and code recomputed. That contrast is not freed of what made the touches be shown. "
      "Do and ett use the code in the place of the mediator, where it reads proxies. None of them "
      "is an effect and none has an interval.</p>\n" +
          monitors(child(estimates, "identification")) +
          against_truth(truth, "paper", "The paper's score") +
          against_truth(truth, "do", "The do score") + table(scores));
}

}  // namespace alm::report
