#include "engine/train/timeline.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>

#include "io/json.h"
#include "kernels/base/clock.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

constexpr const char* kOpening = "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [";
constexpr std::array kLaneNames = {"host", "GPU", "GPU, sums over ranks", "GPU, copies"};

// COLLECTIVE. now_seconds() of each rank at about the same moment, whatever their clocks: as they
// leave barriers, by the median of several, for a rank may leave one late.
double common_moment(Communicator& world) {
  std::array<double, 9> mine{};
  for (double& at : mine) {
    world.barrier("clocks of the timeline");
    at = now_seconds();
  }
  std::array<double, 9> of_first = mine;
  world.broadcast(std::as_writable_bytes(std::span(of_first)), 0, "clocks of the timeline");
  std::array<double, 9> ahead{};
  for (size_t at = 0; at < mine.size(); ++at) ahead[at] = mine[at] - of_first[at];
  std::ranges::nth_element(ahead, ahead.begin() + ahead.size() / 2);
  return of_first.back() + ahead[ahead.size() / 2];
}

std::string text_of_file(const std::vector<std::vector<std::byte>>& of_ranks) {
  std::string text = kOpening;
  for (const std::vector<std::byte>& of_rank : of_ranks) {
    text += text.back() == '[' ? "\n" : ",\n";
    text.append(reinterpret_cast<const char*>(of_rank.data()), of_rank.size());
  }
  return text + "\n]}\n";
}

// Why a timeline may not take the place of what is there; empty: it may.
std::string obstacle(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status found = fs::symlink_status(path, error);
  if (!fs::exists(found)) return "";
  if (!fs::is_regular_file(found)) return "it is there, and is no file";
  std::string begins(std::strlen(kOpening), ' ');
  std::ifstream(path).read(begins.data(), std::ssize(begins));
  return begins == kOpening ? "" : "it is there, and is no timeline: name another file";
}

}  // namespace

void check_no_other_file(const std::string& timeline, Communicator& world) {
  world.together("timeline", [&] {
    const std::string why_not = world.rank() == 0 ? obstacle(timeline) : "";
    if (!why_not.empty()) throw UserError("--timeline " + timeline + ": " + why_not);
  });
}

Timeline::Timeline(std::string path, int64_t steps, Communicator& world)
    : path_(std::move(path)), most_steps_(steps), world_(world), start_(common_moment(world)) {
  // Once more: by now the run has files of its own.
  check_no_other_file(path_, world);
}

void Timeline::add(Lane lane, const char* name, double begin, double end, int64_t step) {
  if (!written_) spans_.push_back({lane, name, begin, end, step});
}

std::string Timeline::text_of_rank() const {
  const auto rank = static_cast<long long>(world_.rank());
  std::string text = format(
      "{\"ph\": \"M\", \"pid\": %lld, \"name\": \"process_name\", \"args\": {\"name\": \"rank "
      "%lld\"}}",
      rank, rank);
  std::array<bool, kLaneNames.size()> used{};
  for (const Span& span : spans_) used[static_cast<size_t>(span.lane)] = true;
  for (size_t lane = 0; lane < kLaneNames.size(); ++lane) {
    if (!used[lane]) continue;
    text += format(
        ",\n{\"ph\": \"M\", \"pid\": %lld, \"tid\": %zu, \"name\": \"thread_name\", \"args\": "
        "{\"name\": \"%s\"}}",
        rank, lane, kLaneNames[lane]);
  }
  for (const Span& span : spans_) {
    text += format(
        ",\n{\"ph\": \"X\", \"pid\": %lld, \"tid\": %d, \"name\": \"%s\", \"ts\": %.3f, "
        "\"dur\": %.3f, \"args\": {\"step\": %lld}}",
        rank, static_cast<int>(span.lane), span.name, 1e6 * (span.begin - start_),
        1e6 * (span.end - span.begin), static_cast<long long>(span.step));
  }
  return text;
}

void Timeline::end_step() {
  if (++steps_ == most_steps_) end();
}

void Timeline::end() {
  if (written_) return;
  written_ = true;
  // To rank 0 alone.
  std::vector<std::vector<std::byte>> parts(static_cast<size_t>(world_.size()));
  const std::string text = text_of_rank();
  spans_ = {};
  const auto bytes = std::as_bytes(std::span(text));
  parts[0].assign(bytes.begin(), bytes.end());
  parts = world_.all_to_all_v(parts, "spans of the timeline");
  if (world_.rank() != 0) return;
  try {
    io::write_text_atomically(path_, text_of_file(parts));
    log_info(format("timeline of %lld steps: %s (ui.perfetto.dev shows it)",
                    static_cast<long long>(steps_), path_.c_str()));
  } catch (const MachineError& error) {  // no reason to lose a training
    log_warning(std::string("--timeline: ") + error.what());
  }
}

}  // namespace alm
