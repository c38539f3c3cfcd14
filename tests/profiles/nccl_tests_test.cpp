#include "galvatron/profiles/nccl_tests.h"

#include <gtest/gtest.h>

#include "config_error.h"
#include "nccl_output.h"

namespace galvatron::profiles {
namespace {

NcclTestRun one_run(const std::string& text, const std::string& source = "out.txt") {
  const std::vector<NcclTestRun> runs = nccl_tests_from_text(text, source);
  EXPECT_EQ(runs.size(), 1);
  return runs.at(0);
}

std::string error_of(const std::string& text, const std::string& source = "out.txt") {
  return config_error_of([&] { nccl_tests_from_text(text, source); });
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

void expect_as_printed(const NcclTestRun& run, const NcclOutput& output) {
  EXPECT_EQ(run.operation, output.operation);
  ASSERT_EQ(run.rows.size(), output.sizes.size());
  for (std::size_t i = 0; i < run.rows.size(); ++i) {
    EXPECT_EQ(run.rows[i].size.value, output.sizes[i]);
    const double us = output.time(static_cast<double>(output.sizes[i]));
    EXPECT_NEAR(run.rows[i].result(run.operation).microseconds, us, 1e-5 * us);
  }
}

TEST(NcclTests, EveryVersionsTableIsRead) {
  for (const char* operation :
       {"all_reduce", "all_gather", "reduce_scatter", "alltoall", "sendrecv"}) {
    NcclOutput output;
    output.operation = operation;
    output.nodes = 2;
    const NcclTestRun now = one_run(output.text()), before = one_run(output.old_text());
    expect_as_printed(now, output);
    expect_as_printed(before, output);
    EXPECT_EQ(now.version, "2.17.6");
    ASSERT_EQ(now.ranks.size(), 16);
    ASSERT_EQ(before.ranks.size(), 16);
    for (const NcclTestRun* run : {&now, &before}) {
      EXPECT_EQ(run->ranks[8].rank, 8);
      EXPECT_EQ(run->ranks[8].host, "node1");
      EXPECT_EQ(run->ranks[8].device, "NVIDIA H100 80GB HBM3");
    }
  }
}

TEST(NcclTests, JsonListsTheFirstDeviceOfAProcessForAll) {
  NcclOutput output;
  output.nodes = 2;
  const NcclTestRun run = one_run(output.json(), "out.json");
  expect_as_printed(run, output);
  ASSERT_EQ(run.ranks.size(), 16);
  EXPECT_EQ(run.ranks[15].rank, 15);
  EXPECT_EQ(run.ranks[15].host, "node1");
}

TEST(NcclTests, SeveralRunsOfOneFileAreApart) {
  NcclOutput first, second;
  second.operation = "alltoall";
  second.nodes = 2;
  for (const std::string& text :
       {first.text() + second.text(), first.old_text() + second.old_text(),
        first.text() + second.old_text()}) {
    const auto runs = nccl_tests_from_text(text, "out.txt");
    ASSERT_EQ(runs.size(), 2);
    expect_as_printed(runs[0], first);
    expect_as_printed(runs[1], second);
    EXPECT_EQ(runs[0].ranks.size(), 8);
    EXPECT_EQ(runs[1].ranks.size(), 16);
  }
}

TEST(NcclTests, WhatLaunchersAndLibrariesWriteBetweenTheLinesIsPassedOver) {
  NcclOutput output;
  for (const char* prefix : {"[1,0]<stdout>:", "[0] ", " 0: "}) {
    output.prefix = prefix;
    expect_as_printed(one_run(output.text()), output);
  }
  output.prefix = "";
  std::string text =
      "Warning: Permanently added 'node1' to the list of known hosts.\n" + output.text();
  text = replaced(text, "       16384  ",
                  "node0:77:81 [3] NCCL INFO Connected all trees\n       16384  ");
  text = replaced(text, "        1024  ",
                  "           0             0     float     sum      -1     0.36    0.00    0.00   "
                  "   0     0.33    0.00    0.00      0\n        1024  ");
  expect_as_printed(one_run(text), output);
}

// Per-iteration and timestamp columns of newer versions; "cputime" is refused.
TEST(NcclTests, MoreColumnsAreFoundByTheirNames) {
  const std::string text =
      "# nThread 1 nGpus 2 minBytes 8 maxBytes 8 step: 2(factor) warmup iters: 1 iters: 20 agg "
      "iters: 4 validation: 1\n"
      "#  Rank  0 Group  0 Pid 5 on a device  0 [0000:01:00] NVIDIA H200\n"
      "#  Rank  1 Group  0 Pid 5 on a device  1 [0000:02:00] NVIDIA H200\n"
      "#  size count type redop root time algbw busbw #wrong i_min i_max i_p99 i_cv% time algbw "
      "busbw #wrong i_min i_max i_p99 i_cv% timestamp\n"
      "#  (B) (elements) (us) (GB/s) (GB/s) (us) (us) (us) (%) (us) (GB/s) (GB/s) (us) (us) (us) "
      "(%) %Y-%m-%d %H:%M:%S\n"
      "  1048576 262144 float sum -1 50.0 20.97 20.97 0 49 51 51 2.0 40.0 26.21 26.21 0 39 41 41 "
      "2.0 2026-01-02 03:04:05\n";
  const NcclTestRun run = one_run(text, "all_reduce_perf.log");
  ASSERT_EQ(run.rows.size(), 1);
  EXPECT_EQ(run.rows[0].out_of_place.microseconds, 50);
  EXPECT_EQ(run.rows[0].result("all_reduce").microseconds, 40);  // in place, as our runtime
  EXPECT_EQ(run.aggregated, 4);
  EXPECT_NE(error_of(replaced(text, "time algbw", "cputime algbw")).find("without -C"),
            std::string::npos);
}

TEST(NcclTests, TheOperationIsToldByTheFileOrTheNumbers) {
  for (const char* operation : {"all_reduce", "all_gather", "reduce_scatter", "alltoall"}) {
    NcclOutput output;
    output.operation = operation;
    std::string text = output.old_text();
    text.erase(0, text.find('#'));  // without the command
    EXPECT_EQ(one_run(text, "out.txt").operation, operation);
  }
  NcclOutput message;
  message.operation = "sendrecv";
  std::string text = message.old_text();
  text.erase(0, text.find('#'));
  EXPECT_NE(error_of(text, "out.txt").find("name the file after its program"), std::string::npos);
  EXPECT_EQ(one_run(text, "logs/sendrecv_perf-2nodes.txt").operation, "sendrecv");
}

TEST(NcclTests, WhatIsWrongIsNamedWithItsLine) {
  const NcclOutput output;
  const std::string text = output.text();
  const auto has = [&](const std::string& changed, const std::string& words) {
    const std::string error = error_of(changed);
    EXPECT_NE(error.find(words), std::string::npos) << words << "\n" << error;
  };
  has("{\"format\": \"galvatron-plan\"}", "no 'config' and 'results'");
  has("epoch,loss\n1,2\n", "no table of nccl-tests");
  has("", "no table of nccl-tests");
  has("#      bytes             N    type      op     time  algbw  busbw      res     time  algbw  "
      "busbw      res\n",
      "not those of nccl-tests since 2.0");
  has(replaced(text, "20.0102", "0"), "a time of 0 us");
  has(replaced(text, "20.0102", "-20.01"), "a time of -20.01 us");
  has(replaced(text, "20.0102", "nan"), "a time of nan us");
  has(replaced(text, "20.0102", "20.x"), "'20.x' where a number belongs");
  has(replaced(text, "10757.4", "20757.4"), "are not the");
  has(replaced(text, "      0  20.0102", "      7  20.0102"), "7 wrong values");
  has(replaced(text, "values : 0 OK", "values : 3 FAILED"), "computes wrongly");
  has(replaced(text, "# Out of bounds",
               "node0: Test NCCL failure common.cu:1005 'unhandled system error'\n# Out of bounds"),
      "the run failed: \"node0: Test NCCL failure");
  has(text.substr(0, text.find("  float", text.find(" 1024 "))), "columns where the table has 13");
  has(text.substr(0, text.find("        1024 ")), "ended before its first line");
  std::string json = output.json();
  has(replaced(json, "\"nwrong\":0.000000", "\"nwrong\":2"), "2 wrong values");
  has(replaced(json, "\"count\":0,\"okay\"", "\"count\":2,\"okay\""), "2 values out of bounds");
  has(replaced(json, "\"errors\":[\"\"]", "\"errors\":[\"remote error\"]"),
      "the run failed: remote error");
  has(replaced(json, "\"alg_bw\"", "\"bw\""), "'alg_bw' is missing (its version is 2");
  has(replaced(json, "\"time\":", "\"cpu_time\":"), "without -C");
}

}  // namespace
}  // namespace galvatron::profiles
