#include "io/attribution_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <type_traits>

#include "io/hdf5_writer.h"
#include "io/json.h"
#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm::io {
namespace {

constexpr size_t kBuffer = size_t{1} << 20;
// Rows handed to HDF5 at once, counted from the start of the file, so that the order of its chunks
// does not depend on how rows were appended.
constexpr size_t kStageRows = 4096;
constexpr size_t kLongestLine = 256;
constexpr size_t kPartRows = 8192;

std::array<std::string, 8> column_names(const std::string& credit) {
  return {"row", "user", "position", "cluster", "do", "ett", credit, "share"};
}

static_assert(std::is_trivially_copyable_v<AttributionRow> && sizeof(AttributionRow) == 40,
              "parts hold rows as they lie in memory");

[[noreturn]] void cannot(const char* what, const std::string& path) {
  throw MachineError(format("%s: cannot %s: %s", path.c_str(), what, std::strerror(errno)));
}

std::string parent_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

void make_parent(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(parent_of(path), error);
  if (error) throw MachineError(parent_of(path) + ": cannot be created: " + error.message());
}

// A file written front to back, removed unless kept.
class ByteFile {
 public:
  explicit ByteFile(const std::string& path) : path_(path) {
    make_parent(path);
    file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file_ < 0) cannot("create the file", path);
  }
  ByteFile(const ByteFile&) = delete;
  ByteFile& operator=(const ByteFile&) = delete;
  ~ByteFile() {
    if (file_ >= 0) ::close(file_);
    if (!kept_) ::unlink(path_.c_str());
  }
  void write(const char* bytes, size_t count) {
    while (count > 0) {
      const ssize_t wrote = ::write(file_, bytes, count);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) cannot("write", path_);
      bytes += wrote;
      count -= static_cast<size_t>(wrote);
    }
  }
  void close(bool sync) {
    if (sync && ::fsync(file_) != 0) cannot("write", path_);
    if (::close(std::exchange(file_, -1)) != 0) cannot("write", path_);
  }
  void rename_to(const std::string& path) {
    if (std::rename(path_.c_str(), path.c_str()) != 0) cannot("rename into place", path_);
    kept_ = true;
    sync_directory(parent_of(path));
  }

 private:
  std::string path_;
  int file_ = -1;
  bool kept_ = false;
};

// As RFC 4180 wants it: quoted where it holds a comma, a quote or a line end.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  std::string quoted = "\"";
  for (const char letter : text) quoted += letter == '"' ? "\"\"" : std::string(1, letter);
  return quoted + "\"";
}

class CsvWriter final : public AttributionWriter {
 public:
  CsvWriter(const std::string& path, const std::string& credit_name,
            const std::vector<std::string>& cluster_names)
      : path_(path), file_(path + ".tmp"), buffer_(kBuffer), cluster_names_(cluster_names) {
    for (const std::string& name : column_names(credit_name)) {
      if (used_ > 0) put_text(",");
      put_text(name);
    }
    put_text(cluster_names_.empty() ? "\n" : ",cluster_name\n");
  }
  void append(std::span<const AttributionRow> rows) override {
    for (const AttributionRow& row : rows) {
      if (used_ + kLongestLine > buffer_.size()) flush();
      put(row.row, ',');
      put(row.user, ',');
      put(row.position, ',');
      put(row.cluster, ',');
      put(row.do_effect, ',');
      put(row.ett, ',');
      put(row.credit, ',');
      put(row.share, cluster_names_.empty() ? '\n' : ',');
      if (!cluster_names_.empty()) {
        ALM_CHECK(row.cluster < cluster_names_.size());
        put_text(csv_field(cluster_names_[row.cluster]) + "\n");
      }
    }
  }
  void finish() override {
    flush();
    file_.close(true);
    file_.rename_to(path_);
  }

 private:
  template <class T>
  void put(T value, char end) {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(value)) {
        buffer_[used_++] = end;
        return;
      }
    }
    const auto result = std::to_chars(&buffer_[used_], buffer_.data() + buffer_.size(), value);
    ALM_CHECK(result.ec == std::errc());
    *result.ptr = end;
    used_ = static_cast<size_t>(result.ptr - buffer_.data()) + 1;
  }
  void put_text(std::string_view text) {
    if (used_ + text.size() > buffer_.size()) flush();
    if (text.size() > buffer_.size()) return file_.write(text.data(), text.size());
    std::memcpy(&buffer_[used_], text.data(), text.size());
    used_ += text.size();
  }
  void flush() {
    file_.write(buffer_.data(), used_);
    used_ = 0;
  }

  std::string path_;
  ByteFile file_;
  std::vector<char> buffer_;
  const std::vector<std::string>& cluster_names_;
  size_t used_ = 0;
};

class Hdf5AttributionWriter final : public AttributionWriter {
 public:
  Hdf5AttributionWriter(const std::string& path, int64_t most_rows, const std::string& credit_name,
                        const std::vector<std::pair<std::string, std::string>>& notes,
                        const std::vector<std::string>& cluster_names)
      : file_(path, Codec::deflate) {
    file_.attribute("alm_schema", "alm-attribution/1");
    for (const auto& [name, text] : notes) file_.attribute(name, text);
    if (!cluster_names.empty()) file_.texts("/meta/cluster", cluster_names);
    const ValueType types[] = {ValueType::i64, ValueType::u64, ValueType::u32, ValueType::u32,
                               ValueType::f32, ValueType::f32, ValueType::f32, ValueType::f32};
    const std::array<std::string, 8> names = column_names(credit_name);
    for (size_t column = 0; column < std::size(types); ++column) {
      file_.add({.path = "/" + names[column], .type = types[column], .expected_rows = most_rows});
    }
  }
  void append(std::span<const AttributionRow> rows) override {
    while (!rows.empty()) {
      const size_t take = std::min(kStageRows - staged_.size(), rows.size());
      staged_.insert(staged_.end(), rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(take));
      rows = rows.subspan(take);
      if (staged_.size() == kStageRows) flush();
    }
  }
  void finish() override {
    flush();
    file_.finish();
  }

 private:
  void flush() {
    hand_over(0, &AttributionRow::row);
    hand_over(1, &AttributionRow::user);
    hand_over(2, &AttributionRow::position);
    hand_over(3, &AttributionRow::cluster);
    hand_over(4, &AttributionRow::do_effect);
    hand_over(5, &AttributionRow::ett);
    hand_over(6, &AttributionRow::credit);
    hand_over(7, &AttributionRow::share);
    staged_.clear();
  }
  template <class T>
  void hand_over(int64_t column, T AttributionRow::*member) {
    T values[kStageRows];
    for (size_t at = 0; at < staged_.size(); ++at) values[at] = staged_[at].*member;
    file_.append(column, std::as_bytes(std::span(values, staged_.size())));
  }

  Hdf5Writer file_;
  std::vector<AttributionRow> staged_;
};

}  // namespace

void check_attribution_path(const std::string& path) {
  if (path.ends_with(".csv") || path.ends_with(".h5")) return;
  throw UserError(path + ": the name must end in .csv or .h5, which chooses the format");
}

std::unique_ptr<AttributionWriter> make_attribution_writer(
    const std::string& path, int64_t most_rows, const std::string& credit_name,
    const std::vector<std::pair<std::string, std::string>>& notes,
    const std::vector<std::string>& cluster_names) {
  check_attribution_path(path);
  if (path.ends_with(".csv")) return std::make_unique<CsvWriter>(path, credit_name, cluster_names);
  return std::make_unique<Hdf5AttributionWriter>(path, most_rows, credit_name, notes,
                                                 cluster_names);
}

class AttributionPart::Impl {
 public:
  explicit Impl(const std::string& path) : file(path) {}
  ByteFile file;
};

AttributionPart::AttributionPart(const std::string& path) : impl_(std::make_unique<Impl>(path)) {}
AttributionPart::~AttributionPart() = default;
void AttributionPart::append(std::span<const AttributionRow> rows) {
  impl_->file.write(reinterpret_cast<const char*>(rows.data()), rows.size_bytes());
}
void AttributionPart::close() {
  impl_->file.close(false);
}

void read_attribution_part(const std::string& path, int64_t rows,
                           const std::function<void(std::span<const AttributionRow>)>& body) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    throw MachineError(format(
        "%s: cannot be opened: %s; the folder of the output must be one that all ranks share",
        path.c_str(), std::strerror(errno)));
  }
  struct Closer {
    int file;
    ~Closer() { ::close(file); }
  } const closer{file};
  std::vector<AttributionRow> run(kPartRows);
  int64_t found = 0;
  while (true) {
    char* const bytes = reinterpret_cast<char*>(run.data());
    const size_t wanted = run.size() * sizeof(AttributionRow);
    size_t got = 0;
    while (got < wanted) {
      const ssize_t read = ::read(file, bytes + got, wanted - got);
      if (read < 0 && errno == EINTR) continue;
      if (read < 0) cannot("read", path);
      if (read == 0) break;
      got += static_cast<size_t>(read);
    }
    const size_t count = got / sizeof(AttributionRow);
    found += static_cast<int64_t>(count);
    if (got % sizeof(AttributionRow) != 0 || found > rows) break;
    if (count > 0) body(std::span(run).first(count));
    if (got == wanted) continue;
    if (found == rows) return;
    break;
  }
  throw MachineError(
      format("%s: does not hold the %lld rows its rank wrote; the folder of the output must be one "
             "that all ranks share",
             path.c_str(), static_cast<long long>(rows)));
}

}  // namespace alm::io
