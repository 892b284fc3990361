// A mapping file, and the import of a small table by it. What is written has to read back without a
// bad row.
#include "io/mapping.h"

#include "io/import.h"
#include "kernels/base/check.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

namespace alm::fuzz {

namespace {

const std::string kJourneyMapping =
    "# an experiment\n[file]\nform = journey\nreference_arm = none\noutcome_kind = continuous\n"
    "[columns]\nuser = id\ntime = at\noutcome = y\ncluster = arm\nmediator = m\ndense = age, x\n"
    "cat = town\npropensity = p\n[missing]\n* = NA, -\nage = 0\n[clusters]\nA = mail\n";
const std::string kJourneyTable =
    "id,at,y,arm,m,age,x,town,p\n1,2024-05-31,0.5,none,0,33,1,Ulm,0.5\n"
    "2,2024-06-01,1.5,A,1,NA,2,Köln,.25\n3,1700000000000,-1,A,,0,-,,1\n";
const std::string kTouchMapping =
    "[file]\nform = touch\nseparator = tab\ntime_unit = s\nproxy_leaky = v2\n[columns]\n"
    "user = u\njourney = j\ntime = w\noutcome = y\ncluster = c\nitem = i\ntouch_time = t\n"
    "mediator = m\nmediator_time = mt\nproxy = v1, v2\nweight = k\nrandomised = r\n";
const std::string kTouchTable =
    "u\tj\tw\ty\tc\ti\tt\tm\tmt\tv1\tv2\tk\tr\n7\ta\t2000\t1\tred\tx1\t1000\t1\t1500\t1\t0\t1\t0\n"
    "7\ta\t2000\t1\tblue\tx2\t900\t0\t\t0\t\t1\t1\n8\tb\t3000\t0\tred\tx1\t100\t\t\t\t1\t2.5\t0\n";

}  // namespace

// Bytes: 's' skips bad rows; mapping, NUL, table.
void run_target(std::string_view input) {
  static const Scratch scratch;
  io::ImportOptions options;
  options.on_bad_row = take_byte(input) == 's' ? io::OnBadRow::skip : io::OnBadRow::fail;
  options.rows_per_file = 2;
  const std::string_view text = take_part(input);
  const io::Mapping mapping = io::read_mapping(scratch.write("mapping.ini", text));
  const io::ImportSummary summary = io::import_tables({scratch.write("table.csv", input)}, mapping,
                                                      scratch.fresh("log"), options);
  const auto log = io::Log::open({scratch.path("log")}, {});
  ALM_CHECK(log->rows() == summary.journeys && log->touches() == summary.touches);
  io::Journeys block;
  for (int64_t number = 0; number < static_cast<int64_t>(log->blocks().size()); ++number) {
    try {
      log->read_block(number, io::ColumnSet::all(), block);
    } catch (const UserError& error) {
      ALM_CHECK(false, "import wrote what cannot be read: %s", error.what());
    }
  }
}

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (const char* skips : {"s", "f"}) {
    all.push_back(skips + kJourneyMapping + '\0' + kJourneyTable);
    all.push_back(skips + kTouchMapping + '\0' + kTouchTable);
  }
  return all;
}

}  // namespace alm::fuzz
