#include "engine/simulate/log_files.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <vector>

#include "kernels/base/check.h"

namespace alm {
namespace {

constexpr int64_t kMadeRows = 4096;  // drawn at a time by one thread
constexpr int64_t kMadeAhead = 4;    // blocks a thread makes while the ones before are written

int64_t file_count(const LogFilesPlan& plan) {
  ALM_CHECK(plan.rows >= 0 && plan.rows_per_file >= 1);
  return std::max<int64_t>(1, (plan.rows + plan.rows_per_file - 1) / plan.rows_per_file);
}

int64_t draws_of_file(const LogFilesPlan& plan, int64_t file) {
  return std::min(plan.rows_per_file, plan.rows - file * plan.rows_per_file);
}

// A run of draws of one file that is made at once and then written at once.
struct Window {
  int64_t file = 0;
  int64_t first = 0;
  int64_t draws = 0;
  bool opens = false;   // the first of its file
  bool closes = false;  // the last
  int64_t blocks() const { return (draws + kMadeRows - 1) / kMadeRows; }
};

std::vector<Window> windows_of_rank(const LogFilesPlan& plan, int64_t rank, int64_t ranks,
                                    int64_t most_draws) {
  std::vector<Window> windows;
  for (int64_t file = rank; file < file_count(plan); file += ranks) {
    const int64_t begin = file * plan.rows_per_file;
    const int64_t draws = draws_of_file(plan, file);
    int64_t done = 0;
    do {
      const int64_t now = std::min(most_draws, draws - done);
      windows.push_back({file, begin + done, now, done == 0, done + now == draws});
      done += now;
    } while (done < draws);
  }
  return windows;
}

class FilesWriter {
 public:
  FilesWriter(const Simulator& simulator, const LogFilesPlan& plan)
      : simulator_(simulator), plan_(plan) {}

  void write(const Window& window, const std::vector<io::Journeys>& blocks) {
    const std::span<const io::Journeys> made(blocks.data(), static_cast<size_t>(window.blocks()));
    const std::string path =
        (std::filesystem::path(plan_.directory) / io::log_file_name(window.file)).string();
    if (window.opens) {
      int64_t rows = draws_of_file(plan_, window.file);
      if (simulator_.keep_negatives() < 1) {
        ALM_CHECK(window.closes);
        rows = 0;
        for (const io::Journeys& block : made) rows += block.size();
      }
      writer_.emplace(path, simulator_.schema(), rows, plan_.codec);
    }
    for (const io::Journeys& block : made) {
      writer_->append(block);
      written_.rows += block.size();
      written_.touches += block.touches();
      written_.outcomes += std::count(block.outcome.begin(), block.outcome.end(), 1.0f);
      written_.mediators += std::count(block.mediator.begin(), block.mediator.end(), 1);
    }
    if (window.closes) {
      writer_->finish();
      writer_.reset();
      ++written_.files;
      written_.bytes += static_cast<int64_t>(std::filesystem::file_size(path));
    }
  }
  const WrittenRows& written() const { return written_; }

 private:
  const Simulator& simulator_;
  const LogFilesPlan& plan_;
  std::optional<io::LogWriter> writer_;
  WrittenRows written_;
};

}  // namespace

int64_t draws_of_rank(const LogFilesPlan& plan, int64_t rank, int64_t ranks) {
  int64_t draws = 0;
  for (int64_t file = rank; file < file_count(plan); file += ranks) {
    draws += draws_of_file(plan, file);
  }
  return draws;
}

WrittenRows write_log_files(const Simulator& simulator, const LogFilesPlan& plan, int64_t rank,
                            int64_t ranks, ThreadPool& pool,
                            const std::function<void(int64_t drawn)>& progress) {
  const int64_t most_draws =
      simulator.keep_negatives() < 1 ? plan.rows_per_file : kMadeAhead * pool.threads() * kMadeRows;
  const std::vector<Window> windows = windows_of_rank(plan, rank, ranks, most_draws);
  FilesWriter writer(simulator, plan);
  std::vector<io::Journeys> making, made;
  int64_t drawn = 0;
  // Turn i makes window i and writes window i - 1.
  for (size_t turn = 0; turn <= windows.size(); ++turn) {
    const Window none{};
    const Window& next = turn < windows.size() ? windows[turn] : none;
    const int64_t writes = turn > 0 ? 1 : 0;
    making.resize(std::max(making.size(), static_cast<size_t>(next.blocks())));
    pool.parallel_for(writes + next.blocks(), [&](int64_t item, int64_t) {
      if (item < writes) {
        writer.write(windows[turn - 1], made);
        return;
      }
      const int64_t block = item - writes;
      io::Journeys& journeys = making[static_cast<size_t>(block)];
      journeys.clear();
      const int64_t offset = block * kMadeRows;
      simulator.append(next.first + offset, std::min(kMadeRows, next.draws - offset), journeys);
    });
    std::swap(making, made);
    drawn += next.draws;
    progress(drawn);
  }
  return writer.written();
}

}  // namespace alm
