// alm bench loader: journeys through the streams that training and estimating read, in turn with
// what any loader is bounded by, so that the ratios hold while the machine's speed drifts.
#include <algorithm>
#include <array>
#include <functional>

#include "engine/train/bench_step.h"
#include "io/raw_reads.h"
#include "kernels/base/clock.h"
#include "kernels/base/text.h"
#include "launch/bench.h"
#include "launch/log_flags.h"
#include "launch/threads.h"

namespace alm {
namespace {

constexpr int64_t kLeastRounds = 5;
constexpr int64_t kMostRounds = 1000;

// One pass of a stream over this rank's share of the log.
struct Pass {
  double journeys = 0;
  double seconds = 0;
  double cpu_seconds = 0;  // of the process meanwhile
  double wait = 0;         // of the consumer, who does nothing else
  io::LoaderPhases phases;
};

class LoaderBench {
 public:
  LoaderBench(const Options& options, Communicator& world, BenchResults& results)
      : options_(options), world_(world), results_(results) {
    io::LogOptions log_options;
    log_options.index_dir = options.text("index-dir");
    const Timer timer;
    log_ = io::Log::open(options.texts("log"), log_options);
    const double open_seconds = timer.seconds();
    results_.add(
        format("opened in %.2f ms: %zu files, %s journeys", 1e3 * open_seconds,
               log_->files().size(), human_count(static_cast<double>(log_->rows())).c_str()),
        {{"stream", "open"},
         {"open_ms", 1e3 * open_seconds},
         {"files", log_->files().size()},
         {"journeys", log_->rows()}});
    for (const io::LogFile& file : log_->files()) bytes_ += static_cast<double>(file.bytes);
    columns_ = io::ColumnSet::model();
  }

  void run() {
    results_.add(
        "\n| stream | page cache | threads | journeys/s | a CPU second | of the files | read | "
        "check "
        "| decode | "
        "batch | of pread | of the codec |\n|---|---|---|---|---|---|---|---|---|---|---|---|",
        nullptr);
    std::vector<int64_t> counts{1, threads_of_rank(options_, world_)};
    if (options_.integer("threads") > 0 || counts[1] == 1) counts.erase(counts.begin());
    for (const int64_t threads : counts) {
      warm_up(threads);
      for (const bool cold : {false, true}) {
        measure("in order, whole blocks", threads, cold,
                [&] { return scan(kWholeBlocks, threads); });
        measure("in order, batches of 256", threads, cold, [&] { return scan(256, threads); });
        measure("training order", threads, cold, [&] { return train(threads); });
      }
    }
  }

 private:
  static constexpr int64_t kWholeBlocks = int64_t{1} << 40;

  // Memory of a stream: 3 blocks in flight and one for each thread.
  io::RawPass read(int64_t threads, io::RawRead how) const {
    const auto blocks = std::max<int64_t>(1, static_cast<int64_t>(log_->blocks().size()));
    return io::read_raw(*log_, columns_, threads, how,
                        stored_bytes_ / blocks * (3 + threads) / threads);
  }

  void warm_up(int64_t threads) {
    stored_bytes_ = read(threads, io::RawRead::one_buffer).stored_bytes;
  }

  Pass scan(int64_t rows, int64_t threads) const {
    const BlockRange mine =
        blocks_of_rank(static_cast<int64_t>(log_->blocks().size()), world_.rank(), world_.size());
    io::ScanStream::Options scan;
    scan.first_block = mine.first;
    scan.last_block = mine.last;
    scan.rows = rows;
    scan.columns = columns_;
    scan.threads = threads;
    const Timer timer;
    io::ScanStream stream(log_, scan);
    int64_t block = 0;
    while (stream.next(&block) != nullptr) continue;
    return {static_cast<double>(stream.report().rows), timer.seconds(), 0, stream.wait_seconds(),
            stream.phases()};
  }

  // The first epoch, whose blocks all have to be decoded; later ones of a small log need not.
  Pass train(int64_t threads) const {
    std::vector<int64_t> rows;
    for (const io::BlockInfo& block : log_->blocks()) rows.push_back(block.rows);
    const int64_t batch = options_.integer("batch");
    const int64_t lanes = batch / micro_block_rows(batch);
    const auto plan =
        std::make_shared<io::SamplePlan>(io::SamplePlanInput{std::move(rows), 1, batch, lanes});
    io::TrainStream::Options train;
    train.lanes = io::lanes_of_rank(lanes, world_.rank(), world_.size());
    train.columns = columns_;
    train.threads = threads;
    Pass pass;
    const Timer timer;
    io::TrainStream stream(log_, plan, train);
    for (int64_t step = 0; step < plan->steps_per_epoch(); ++step) {
      for (const io::Journeys& journeys : stream.next()) {
        pass.journeys += static_cast<double>(journeys.size());
      }
    }
    pass.seconds = timer.seconds();
    pass.wait = stream.wait_seconds();
    pass.phases = stream.phases();
    return pass;
  }

  static double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  }

  // COLLECTIVE. Rounds of the stream, pread alone and the codec alone until the stream has had its
  // seconds. Ratios to the bounds are medians over the rounds: of processor time from a warm page
  // cache, where they hold on a busy machine too, of wall clock from a cold one. With several ranks
  // every rank reads the whole log for the bounds.
  void measure(const char* stream, int64_t threads, bool cold, const std::function<Pass()>& pass) {
    Pass sum;
    std::vector<double> of_pread;
    std::vector<double> of_cached_pread;
    std::vector<double> of_codec;
    int64_t rounds = 0;
    const double share = 1.0 / static_cast<double>(world_.size());
    while (true) {
      if (cold) io::drop_page_cache(*log_);
      const double cpu_before = io::process_cpu_seconds();
      Pass one = pass();
      one.cpu_seconds = io::process_cpu_seconds() - cpu_before;
      if (cold) io::drop_page_cache(*log_);
      const io::RawPass bytes = read(threads, io::RawRead::ring);
      sum.journeys += one.journeys;
      sum.seconds += one.seconds;
      sum.cpu_seconds += one.cpu_seconds;
      sum.wait += one.wait;
      sum.phases += one.phases;
      if (cold) {
        of_pread.push_back(share * bytes.seconds / one.seconds);
      } else {
        const io::RawPass in_cache = read(threads, io::RawRead::one_buffer);
        const io::RawPass codec = read(threads, io::RawRead::codec);
        const double codec_seconds = std::max(codec.cpu_seconds - in_cache.cpu_seconds, 0.0);
        of_cached_pread.push_back(share * in_cache.cpu_seconds / one.cpu_seconds);
        of_pread.push_back(share * bytes.cpu_seconds / one.cpu_seconds);
        of_codec.push_back(share * codec_seconds / one.cpu_seconds);
      }
      int64_t go_on = ++rounds < kLeastRounds ||
                      (rounds < kMostRounds && !cold && sum.seconds < options_.real("seconds"));
      world_.all_reduce_max(std::span<int64_t>(&go_on, 1), "rounds of the loader");
      if (go_on == 0) break;
    }
    say(stream, threads, cold, sum, median(of_pread), median(of_cached_pread), median(of_codec));
  }

  // COLLECTIVE.
  void say(const char* stream, int64_t threads, bool cold, const Pass& sum, double of_pread,
           double of_cached_pread, double of_codec) {
    std::array<double, 2> rates{sum.journeys / sum.seconds, sum.journeys / sum.cpu_seconds};
    world_.all_reduce_sum(std::span<double>(rates), "rates of the loader");
    const double rate = rates[0];
    const double cpu_rate = rates[1] / static_cast<double>(world_.size());
    const double bytes = rate * bytes_ / static_cast<double>(std::max<int64_t>(log_->rows(), 1));
    const io::LoaderPhases& p = sum.phases;
    const double total = std::max(p.read + p.check + p.decode + p.batch, 1e-9);
    const char* cache = cold ? "cold" : "warm";
    const std::string codec_text =
        of_codec > 0 ? format("%.0f %%", 100 * of_codec) : std::string("-");
    results_.add(
        format("| %s | %s | %lld x %lld | %s | %s | %s/s | %.0f %% | %.0f %% | %.0f %% | %.0f %% "
               "| %.0f %% | %s |",
               stream, cache, static_cast<long long>(world_.size()),
               static_cast<long long>(threads), human_count(rate).c_str(),
               human_count(cpu_rate).c_str(), human_bytes(bytes).c_str(), 100 * p.read / total,
               100 * p.check / total, 100 * p.decode / total, 100 * p.batch / total, 100 * of_pread,
               codec_text.c_str()),
        {{"stream", stream},
         {"page_cache", cache},
         {"ranks", world_.size()},
         {"threads", threads},
         {"journeys_per_s", rate},
         {"journeys_per_cpu_s", cpu_rate},
         {"bytes_per_s", bytes},
         {"phase_shares",
          {{"read", p.read / total},
           {"check", p.check / total},
           {"decode", p.decode / total},
           {"batch", p.batch / total}}},
         {"busy_seconds", total},
         {"wait_seconds", sum.wait},
         {"seconds", sum.seconds},
         {"of_pread", of_pread},
         {"of_pread_into_one_buffer",
          of_cached_pread > 0 ? io::Json(of_cached_pread) : io::Json(nullptr)},
         {"of_codec", of_codec > 0 ? io::Json(of_codec) : io::Json(nullptr)}});
  }

  const Options& options_;
  Communicator& world_;
  BenchResults& results_;
  std::shared_ptr<const io::Log> log_;
  io::ColumnSet columns_;
  double bytes_ = 0;          // of the files
  int64_t stored_bytes_ = 0;  // of the columns read
};

}  // namespace

void bench_loader(const Options& options, Communicator& world, BenchResults& results) {
  if (options.texts("log").empty()) throw UserError("alm bench loader needs --log");
  LoaderBench(options, world, results).run();
}

}  // namespace alm
