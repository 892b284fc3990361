// A checkpoint directory: a manifest of any bytes; or any header under a manifest that vouches for
// it.
#include "io/checkpoint_files.h"

#include "io/digest.h"
#include "kernels/base/check.h"
#include "kernels/base/text.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

namespace alm::fuzz {

namespace {

const std::string kBlob = "twelve bytes";

std::string entry(const std::string& name, const std::string& text) {
  io::Sha256 digest;
  digest.update(text);
  return format(R"({"name": "%s", "bytes": %zu, "sha256": "%s"})", name.c_str(), text.size(),
                digest.hex().c_str());
}

std::string manifest_of(const std::string& header) {
  return R"({"schema": "alm-checkpoint/1", "step": 7, "count": 1, "files": [)" +
         entry("header.json", header) + ", " + entry("dense.f32", kBlob) + "]}\n";
}

}  // namespace

// Bytes: 'h' and a header, or 'm', the manifest, NUL and the header.
void run_target(std::string_view input) {
  static const Scratch scratch;
  const bool vouched = take_byte(input) == 'h';
  const std::string manifest(vouched ? "" : take_part(input));
  const std::string header(input);
  scratch.fresh("step-7");
  scratch.write("step-7/dense.f32", kBlob);
  scratch.write("step-7/header.json", header);
  scratch.write("step-7/manifest.json", vouched ? manifest_of(header) : manifest);
  std::vector<std::string> notes;
  const auto loaded = io::load_newest_checkpoint(scratch.path(""), notes);
  ALM_CHECK(loaded.has_value() == notes.empty(), "passed over without a word");
  for (const std::string& note : notes) ALM_CHECK(note.find('\n') == note.npos);
  io::load_checkpoint(scratch.path(""), 7);
}

std::vector<std::string> seeds() {
  const std::string header = R"({"step": 7, "options": {"seed": 1}})";
  return {"h" + header, "m" + manifest_of(header) + '\0' + header, "m{}" + std::string(1, '\0')};
}

}  // namespace alm::fuzz
