// What was read of nccl-tests, checked: numbers that belong together, and the operation where the
// output does not say it.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/profiles/nccl_tests.h"

namespace galvatron::profiles {
namespace {

// Bandwidths have two decimals; what is smaller than this is not compared.
constexpr double kTellingBandwidth = 1;  // GB/s
constexpr double kRounding = 0.005;

// Until 2.0.1 gathers and scatters counted (n - 1) / n of the size into both bandwidths.
bool counts_parts(const std::string& operation) {
  return operation == "all_gather" || operation == "reduce_scatter";
}

void check_result(const NcclTestRow& row, const NcclTestResult& result) {
  if (!(result.microseconds > 0) || !std::isfinite(result.microseconds)) {
    throw ConfigError("[nccl-tests] ", row.where, ": a time of ", result.microseconds, " us for ",
                      to_text(row.size), "; take the line out, or run it again");
  }
  if (result.wrong_values.value_or(0) > 0) {
    throw ConfigError("[nccl-tests] ", row.where, ": ", *result.wrong_values,
                      " wrong values: this machine computes wrongly, its times say nothing");
  }
}

void check_bandwidth(const NcclTestRow& row, const NcclTestResult& result,
                     const std::string& operation) {
  if (result.algorithm_bandwidth < kTellingBandwidth) return;
  constexpr double kTolerance = 0.03;
  const double said = result.algorithm_bandwidth * result.microseconds * 1000;  // bytes
  const double share = said / static_cast<double>(row.size.value);
  const bool is_part = counts_parts(operation) && share > 0.5 - kTolerance && share < 1;
  if (std::abs(share - 1) < kTolerance || is_part) return;
  throw ConfigError("[nccl-tests] ", row.where, ": ", row.size.value, " bytes in ",
                    result.microseconds, " us are not the ", result.algorithm_bandwidth,
                    " GB/s beside them; the line was changed or is of another tool");
}

// Bus bandwidth over algorithm bandwidth, of the row that tells it best.
double told_bus_factor(const NcclTestRun& run) {
  const NcclTestResult* best = nullptr;
  for (const NcclTestRow& row : run.rows) {
    const NcclTestResult& result = row.out_of_place;
    if (!best || result.algorithm_bandwidth > best->algorithm_bandwidth) best = &result;
  }
  if (best->algorithm_bandwidth < kTellingBandwidth) return 0;
  return best->bus_bandwidth / best->algorithm_bandwidth;
}

// By what stands in the table; "" where several may be meant.
std::string operation_by_numbers(const NcclTestRun& run) {
  const NcclTestRow& row = run.rows.back();
  const double factor = told_bus_factor(run);
  const bool reduces = !row.redop.empty() && row.redop != "none";
  if (row.root >= 0) return reduces ? "reduce" : "broadcast";
  if (factor == 0) return "";
  if (factor > 1 + 2 * kRounding) return "all_reduce";
  if (factor > 1 - 2 * kRounding) return "";  // two ranks, or a message
  if (reduces) return "reduce_scatter";
  if (!row.in_place || !row.out_of_place.wrong_values) return "";
  return row.in_place->wrong_values ? "all_gather" : "alltoall";
}

}  // namespace

const NcclTestResult& NcclTestRow::result(const std::string& operation) const {
  return operation == "all_reduce" && in_place ? *in_place : out_of_place;
}

void finish_nccl_run(NcclTestRun& run) {
  if (run.rows.empty()) {
    throw ConfigError("[nccl-tests] ", run.source, ": a run of ",
                      run.operation.empty() ? "nccl-tests" : run.operation,
                      " ended before its first line; run it again, or take it out");
  }
  if (run.operation.empty()) {
    const std::string name = std::filesystem::path(run.source).filename().string();
    run.operation = nccl_operation_in(name).value_or(operation_by_numbers(run));
  }
  if (run.operation.empty()) {
    throw ConfigError("[nccl-tests] ", run.source,
                      " does not say which operation it was; name the file after its program, "
                      "such as alltoall_perf.txt");
  }
  for (const NcclTestRow& row : run.rows) {
    check_result(row, row.out_of_place);
    check_bandwidth(row, row.out_of_place, run.operation);
    if (!row.in_place) continue;
    check_result(row, *row.in_place);
    check_bandwidth(row, *row.in_place, run.operation);
  }
}

}  // namespace galvatron::profiles
