// JSON files of a run, as the report reads them: any value may be missing or of another type.
#include "engine/report/report.h"
#include "io/json.h"
#include "kernels/base/check.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

namespace alm::fuzz {

namespace {

const std::string kConfig =
    R"({"started": "now", "hosts": ["a"], "versions": ["x 1"], "ranks": 2,
 "options": {"seed": {"value": 1, "source": "default"}, "model": "tiny"},
 "log": {"rows": 10, "touches": 20, "manifest_hash": "ab"}})";
const std::string kEstimates =
    R"({"schema": "alm-estimates/1", "samples": 10, "users": 9, "world_size": 1, "device": "cpu",
 "mediator_mode": "observed", "estimand_note": "per touch",
 "prediction": {"auc": 0.7, "logloss": null, "why": "no rows",
  "calibration": [{"predicted": 0.1, "observed": 0.2, "samples": 5}]},
 "effects": [{"cluster": 0, "name": "<b>", "touches": 5, "users": 4, "unit": "per touch",
  "naive": 0.1, "backdoor": 0.2, "do": {"plugin": 0.1, "one_step": null, "se": null, "ci95": null,
  "clipped_share": 0, "ess": 4}, "ett": {"plugin": 0.1, "one_step": 0.1, "se": 0.01,
  "ci95": [0.08, 0.12], "clipped_share": 0.1, "ess": 3}, "truth": {"do": 0.1, "ett": 0.1}}],
 "grouped_auuc": [{"gain": "difference", "auuc_05": 0.6, "ci95": [0.5, 0.7],
  "curve": [[0, 0], [0.5, 0.7], [1, 1]], "buckets": [{"auuc_05": 0.5}]}],
 "policy": {"budgets": [1, 2]}, "identification": {"mediator_variance_share": 0.2,
 "overlap": {"ess": 3}}, "truth": {"pehe": 0.1, "coverage95": 0.96}})";
const std::string kMetrics =
    R"([{"fit": "main", "phase": "train", "step": 50, "epoch": 1, "losses": {"outcome": 0.6},
 "validation": {"outcome": 0.61}, "samples_per_s": 1e5, "loader_wait": 0.01, "comm_share": 0,
 "phase_shares": {"forward": 0.4}}])";
const std::string kExamples =
    R"([{"row": 1, "user": 18446744073709551615, "outcome": 1, "predicted": 0.4, "touches":
 [{"cluster": 0, "name": "a", "mediator": 255, "p": 0.3, "do": 0.1, "ett": 0.1, "share": 1,
 "hours_before": 2}]}])";

}  // namespace

// config, estimates, metrics (an array), examples, each ended by NUL.
void run_target(std::string_view input) {
  static const Scratch scratch;
  const auto take = [&] { return io::read_json(scratch.write("part.json", take_part(input))); };
  const io::Json config = take();
  const io::Json estimates = take();
  const io::Json lines = take();
  const io::Json examples = take();
  std::vector<io::Json> metrics;
  if (lines.is_array()) metrics.assign(lines.begin(), lines.end());
  const std::string page = make_report(config, estimates, metrics, examples);
  ALM_CHECK(page.find("<script") == page.npos, "a text of the input came through as markup");
}

std::vector<std::string> seeds() {
  const std::string end(1, '\0');
  return {kConfig + end + kEstimates + end + kMetrics + end + kExamples,
          "{}" + end + "{}" + end + "[]" + end + "null"};
}

}  // namespace alm::fuzz
