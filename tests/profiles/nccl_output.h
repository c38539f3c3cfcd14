// Outputs of nccl-tests for tests, printed as its versions print them, with times of a known curve.
#pragma once
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace galvatron::profiles {

struct NcclOutput {
  std::string operation = "all_reduce";
  int nodes = 1, per_node = 8;
  std::string device = "NVIDIA H100 80GB HBM3";
  std::vector<std::int64_t> sizes = {1 << 10, 1 << 14, 1 << 18, 1 << 22, 1 << 26, 1 << 30};
  // Microseconds of so many bytes.
  std::function<double(double)> time = [](double bytes) { return 20 + bytes / 1e5; };
  int groups = 1;      // NCCL_TESTS_SPLIT="MOD groups"
  std::string prefix;  // of every line

  int ranks() const { return nodes * per_node; }
  int group_size() const { return ranks() / groups; }
  bool gathers() const {
    return operation == "all_gather" || operation == "reduce_scatter" || operation == "alltoall";
  }
  double bus() const {
    const double share = (group_size() - 1.0) / group_size();
    return operation == "all_reduce" ? 2 * share : gathers() ? share : 1;
  }

  std::string rank_lines(bool has_group, const std::string& bus_id) const {
    std::string out = prefix + "# Using devices\n";
    for (int rank = 0; rank < ranks(); ++rank) {
      out += fmt::format("{}#  Rank {:2}{} Pid {:6} on {:>10} device {:2} [{}] {}\n", prefix, rank,
                         has_group ? fmt::format(" Group {:2}", rank % groups) : "", 4000 + rank,
                         fmt::format("node{}", rank / per_node), rank % per_node, bus_id, device);
    }
    return out;
  }

  // "  time algbw busbw"
  std::string result(double bytes) const {
    const double us = time(bytes), bandwidth = bytes / us / 1000;
    return fmt::format("  {:7.6g}  {:6.2f}  {:6.2f}", us, bandwidth, bandwidth * bus());
  }

  std::string row(std::int64_t size, bool has_root) const {
    const bool reduces =
        operation == "all_reduce" || operation == "reduce_scatter" || operation == "sendrecv";
    const bool is_one_sided = operation == "alltoall" || operation == "sendrecv";
    const auto bytes = static_cast<double>(size);
    return fmt::format("{}{:12}  {:12}  {:>8}  {:>6}{}{}      0{}  {:>6}\n", prefix, size,
                       size / 4 / (gathers() ? group_size() : 1), "float", reduces ? "sum" : "none",
                       has_root ? "      -1" : "", result(bytes), result(bytes),
                       is_one_sided ? "N/A" : "0");
  }

  // As since 2.17.
  std::string text() const {
    std::string out =
        prefix + "# nccl-tests version 2.17.6 nccl-headers=22705 nccl-library=22705\n";
    out += prefix + "# Collective test starting: " + operation + "_perf\n";
    out += prefix +
           "# nThread 1 nGpus 1 minBytes 1024 maxBytes 1073741824 step: 16(factor) warmup iters: 1 "
           "iters: 20 agg iters: 1 validation: 1 graph: 0\n" +
           prefix + "#\n";
    out += rank_lines(true, "0000:1b:00") + prefix + "#\n";
    out += prefix +
           "#                                                              out-of-place          "
           "in-place\n";
    out += prefix +
           "#       size         count      type   redop    root     time   algbw   busbw  #wrong  "
           "   time   algbw   busbw  #wrong\n";
    out += prefix +
           "#        (B)    (elements)                               (us)  (GB/s)  (GB/s)          "
           "   (us)  (GB/s)  (GB/s)\n";
    for (const std::int64_t size : sizes) out += row(size, true);
    out += prefix + "# Out of bounds values : 0 OK\n" + prefix +
           "# Avg bus bandwidth    : 170.4\n" + prefix + "#\n" + prefix +
           "# Collective test concluded: " + operation + "_perf\n";
    return out;
  }

  // As before 2.11: no version, no groups, no root; the command is above it as the shell has it.
  std::string old_text() const {
    std::string out = "$ mpirun -np 16 ./build/" + operation + "_perf -b 1K -e 1G -f 16 -g 1\n";
    out +=
        "# nThread 1 nGpus 1 minBytes 1024 maxBytes 1073741824 step: 16(factor) warmup iters: 5 "
        "iters: 20 validation: 1 \n#\n";
    out += rank_lines(false, "0x1b") + "NCCL version 2.8.4+cuda10.1\n#\n";
    out +=
        "#                                                     out-of-place                       "
        "in-place          \n";
    out +=
        "#       size         count    type   redop     time   algbw   busbw  error     time   "
        "algbw   busbw  error\n";
    out +=
        "#        (B)    (elements)                     (us)  (GB/s)  (GB/s)            (us)  "
        "(GB/s)  (GB/s)       \n";
    for (const std::int64_t size : sizes) out += row(size, false);
    return out + "# Out of bounds values : 0 OK\n# Avg bus bandwidth    : 41.2\n#\n";
  }

  // One process of each node drives its devices, as -g 8 does; the file lists the first of each.
  std::string json() const {
    std::string devices, rows;
    for (int node = 0; node < nodes; ++node) {
      devices += fmt::format(
          R"({}{{"rank":{},"group":0,"pid":7,"hostname":"node{}","device":0,"device_hex":"0000:1b:00","device_info":"{}"}})",
          node > 0 ? "," : "", node * per_node, node, device);
    }
    for (const std::int64_t size : sizes) {
      const auto bytes = static_cast<double>(size);
      const double us = time(bytes), bandwidth = bytes / us / 1000;
      const std::string result =
          fmt::format(R"({{"time":{:.6f},"alg_bw":{:.6f},"bus_bw":{:.6f},"nwrong":0.000000}})", us,
                      bandwidth, bandwidth * bus());
      rows += fmt::format(
          R"({}{{"size":{},"count":{},"type":"float","redop":"sum","root":"    -1","out_of_place":{},"in_place":{},"actual_iterations":20,"experiment_name":"x"}})",
          rows.empty() ? "" : ",", size, size / 4, result, result);
    }
    return fmt::format(
        R"({{"version":2,"start_time":"2026-01-02 03:04:05","args":["./build/{}_perf","-g","8"],"env":["HOME=/root"],"nccl_version":22705,"config":{{"nthreads":1,"ngpus":{},"minimum_bytes":1024,"maximum_bytes":1024,"step_factor":16,"warmup_iters":1,"iterations":20,"aggregated_iterations":1,"validation":1,"graph":0,"blocking_collectives":"false","parallel_init":"false","devices":[{}]}},"results":[{}],"out_of_bounds":{{"count":0,"okay":"true"}},"average_bus_bandwidth":{{"bandwidth":1.0,"okay":"unchecked"}},"errors":[""],"end_time":"2026-01-02 03:04:06"}})",
        operation, per_node, devices, rows);
  }
};

}  // namespace galvatron::profiles
