// Ends a job that waits for ranks which do not come.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace alm {

// One thread beside the work. When a stage lasts longer than it may, every rank that is still in it
// says so on stderr, and whether it is blocked in a read or write itself; then the process ends
// with exit code 2, by which launchers end the others.
class Deadline {
 public:
  // `rank` of `ranks`: of this process, for the message.
  Deadline(int64_t rank, int64_t ranks);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  // From now on `stage` may last `seconds`; `advice`: one sentence on what to do when it does not
  // end. Replaces the stage before.
  void start(const std::string& stage, double seconds, const std::string& advice);
  void end();

 private:
  void watch();
  static bool blocked_by_system();
  [[noreturn]] void expire(double late) const;

  const int64_t rank_;
  const int64_t ranks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  double at_ = 0;  // on the clock of now_seconds(); 0: no stage
  double seconds_ = 0;
  std::string stage_;
  std::string advice_;
  std::thread thread_;
};

}  // namespace alm
