// report.html: one self-contained page (inline style, SVG plots, no scripts, no network) that says
// what a run found, how sure it is, and where not to believe it.
#pragma once

#include <string>
#include <vector>

#include "io/json.h"

namespace alm {

// `config`     RUN/config.json: options at the top level or under "options", each a value or
//              {"value": ..}; "started", "hosts", "versions", "log" {"rows", "touches",
//              "manifest_hash"}.
// `estimates`  RUN/estimates.json (docs/metrics.md). A null is shown as "not given" with its
// reason: the
//              `why` beside it (a sentence, or an object of sentences by key), or `<key>_why`.
//              Plots need, beyond the numbers: `prediction.calibration` [{"predicted", "observed",
//              "samples"}], `curve` [[x, y], ..] in the entries of `auuc` and `grouped_auuc`, and
//              `truth` {"do", "ett"} in the entries of `effects`.
// `metrics`    the objects of RUN/metrics.jsonl, of which those of the first "fit" are shown:
// "phase"
//              ("train", or the loss that is refitted), "step", "losses" {name: value},
//              "validation"
// {name:
//              value} or "validation_loss", "samples_per_s", "loader_wait", "comm_share",
//              "phase_shares" {name: share}.
// `examples`   [{"row", "user", "outcome", "predicted", "touches": [{"cluster", "name", "mediator"
// (0, 1,
//              255 not observed), "p", "do", "ett", "share", "hours_before"}]}], may be null.
//
// Any key may be missing, null, NaN or of another type: its part of the page is left out or says
// that it was not given; nothing is thrown. Every string of the inputs is escaped. Below 2 MB for
// 1,000 clusters. A pure function: the same inputs give the same bytes.
std::string make_report(const io::Json& config, const io::Json& estimates,
                        const std::vector<io::Json>& metrics, const io::Json& examples);

}  // namespace alm
