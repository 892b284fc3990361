// The sample runs of tests/golden/report, and a strict reader of the page.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "engine/report/report.h"
#include "io/json.h"
#include "tests/source_dir.h"

namespace alm {

struct SampleRun {
  io::Json config, estimates, examples;
  std::vector<io::Json> metrics;

  std::string render() const { return make_report(config, estimates, metrics, examples); }
};

inline io::Json sample_json(const std::string& name) {
  std::ifstream in(source_dir() + "/tests/golden/report/" + name);
  return io::Json::parse(in);
}

inline SampleRun sample_run(const std::string& kind) {
  SampleRun run{sample_json(kind + "_config.json"),
                sample_json(kind + "_estimates.json"),
                sample_json(kind + "_examples.json"),
                {}};
  for (const io::Json& report : sample_json(kind + "_metrics.json")) run.metrics.push_back(report);
  return run;
}

// What is wrong with the page as XML, "" if nothing: tags that do not balance, attributes without
// quotes, bare < or &, entities other than the numeric and the five of XML.
std::string markup_fault(const std::string& page);
// The text outside tags and outside the style sheet, entities decoded.
std::string visible_text(const std::string& page);

}  // namespace alm
