// Writes the credit of touches, one row a touch, as CSV or HDF5. Equal rows give equal bytes,
// however they are cut into calls. The file appears under its name only at finish().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace alm::io {

struct AttributionRow {
  int64_t row = 0;  // of the journey, in the whole log
  uint64_t user = 0;
  uint32_t position = 0;  // of the touch among those of the journey that were read, from 0
  uint32_t cluster = 0;
  float do_effect = 0;  // effects on the scale of the outcome; NaN where there is none
  float ett = 0;
  float credit = 0;  // Shapley value, or another credit that the writer is told the name of
  float share = 0;   // credit / sum over the journey's touches; 0 where that sum is 0
  bool operator==(const AttributionRow&) const = default;
};

// UserError when the name ends neither in .csv nor in .h5.
void check_attribution_path(const std::string& path);

// MachineError when the disk refuses. Not thread-safe.
class AttributionWriter {
 public:
  virtual ~AttributionWriter() = default;
  virtual void append(std::span<const AttributionRow> rows) = 0;
  // Flushes, fsyncs and renames "<path>.tmp".
  virtual void finish() = 0;
};

// Columns row, user, position, cluster, do, ett, the credit under `credit_name`, share; where the
// clusters have names also cluster_name (CSV), or the data set /meta/cluster (HDF5).
// By the ending of the name: .csv (a line of column names, floats with the fewest digits that read
// back to the same float, NaN as nothing) or .h5 (a data set per column; `notes` are attributes of
// the root, which CSV has no place for). Memory does not grow with the rows. `most_rows`: a bound
// on them. `cluster_names`: [K], or empty; must outlive the writer.
std::unique_ptr<AttributionWriter> make_attribution_writer(
    const std::string& path, int64_t most_rows, const std::string& credit_name,
    const std::vector<std::pair<std::string, std::string>>& notes,
    const std::vector<std::string>& cluster_names);

// Rows set aside in a file until their turn comes. The file is removed with the object.
class AttributionPart {
 public:
  explicit AttributionPart(const std::string& path);
  ~AttributionPart();
  void append(std::span<const AttributionRow> rows);
  // Everything appended can be read by others afterwards.
  void close();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Hands the rows of a closed part to `body`, run by run. MachineError when there are not exactly
// `rows` of them.
void read_attribution_part(const std::string& path, int64_t rows,
                           const std::function<void(std::span<const AttributionRow>)>& body);

}  // namespace alm::io
