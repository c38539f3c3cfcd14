// Outputs of nccl-tests (all_reduce_perf, all_gather_perf, ...; rccl-tests print the same), as
// text or as JSON: who took part, and how long each size took. What they mean for us:
// hardware_from_nccl_tests.h.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "galvatron/base/units.h"

namespace galvatron::profiles {

// One line of "# Using devices".
struct NcclTestRank {
  int rank = 0;
  int group = 0;  // of ranks that communicate with each other: NCCL_TESTS_SPLIT makes several
  std::string host;
  std::string device;
};

// What a line of the table says of an operation out of place or in place.
struct NcclTestResult {
  double microseconds = 0;         // of one operation
  double algorithm_bandwidth = 0;  // GB/s, as is the next
  double bus_bandwidth = 0;
  std::optional<double> wrong_values;  // nullopt: not checked
};

struct NcclTestRow {
  std::string where;  // "all_reduce.txt, line 31"
  // As nccl-tests define it (doc/PERFORMANCE.md there): all that a rank holds before the operation
  // or after it, whichever is more; of sendrecv the message.
  Bytes size;
  std::int64_t count =
      0;  // elements that NCCL was given: of gathers and scatters those of one rank
  std::string type, redop;
  int root = -1;
  NcclTestResult out_of_place;
  std::optional<NcclTestResult> in_place;

  // Of the column that is as our runtime works: an all-reduce in place, the others out of place.
  const NcclTestResult& result(const std::string& operation) const;
};

struct NcclTestRun {
  std::string source;               // "all_reduce.txt"
  std::string operation;            // "all_reduce", "sendrecv", ...: its program without _perf
  std::string version;              // of nccl-tests; "" where it does not say so
  std::vector<NcclTestRank> ranks;  // empty: not listed
  int aggregated = 1;               // operations that were started together
  std::vector<NcclTestRow> rows;    // never empty; without those of size 0
};

// A file holds one run or several, one behind the other. ConfigError names the line of what is no
// such output: other columns (a version before 2.0), CPU times, times of 0 or less, wrong values,
// bandwidths that are not size over time, a run that failed, a line that was cut, an operation
// that neither the output nor the file's name nor the numbers say.
std::vector<NcclTestRun> read_nccl_tests(const std::filesystem::path& path);
std::vector<NcclTestRun> nccl_tests_from_text(const std::string& text, const std::string& source);
std::vector<NcclTestRun> nccl_tests_from_json(const std::string& text, const std::string& source);

// "all_reduce" of "./build/all_reduce_perf_mpi -b 8"; nullopt: none is named.
std::optional<std::string> nccl_operation_in(std::string_view text);
// Checks what was read, and says the operation where the output did not.
void finish_nccl_run(NcclTestRun& run);

}  // namespace galvatron::profiles
