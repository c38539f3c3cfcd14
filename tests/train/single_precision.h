// How far off a curve in single precision may be: judged by the truth in double, never by another
// rounding. The rule is that of tests/python/single_precision.py, which gives its reasons.
#pragma once
#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <ATen/Version.h>

#include "test_threads.h"

namespace galvatron::train {

inline constexpr double kFactor = 2, kFloorUlps = 4, kUlp = 0x1p-23;

// The processor and what chose its kernels.
inline std::string circumstances() {
  std::string processor = "unknown processor";
  std::ifstream cpus("/proc/cpuinfo");
  for (std::string line; std::getline(cpus, line);) {
    if (!line.starts_with("model name")) continue;
    processor = line.substr(line.find(':') + 2);
    break;
  }
  return fmt::format("{}, capability {}, {} thread(s)", processor, at::get_cpu_capability(),
                     test_threads());
}

// One value a step, of ours, of the truth, and of one rank in single precision, which adds up its
// gradients in several orders. Errors grow from step to step: each of ours is judged by what the
// worst order was off up to there.
inline void expect_no_worse(const std::vector<double>& ours,
                            const std::vector<std::vector<double>>& one_rank,
                            const std::vector<double>& truth) {
  ASSERT_EQ(ours.size(), truth.size());
  const double scale = *std::max_element(truth.begin(), truth.end());  // losses are positive
  double worst = 0, share = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    for (const std::vector<double>& curve : one_rank)
      worst = std::max(worst, std::abs(curve.at(i) - truth[i]));
    const double allowed = kFactor * worst + kFloorUlps * kUlp * scale;
    share = std::max(share, std::abs(ours[i] - truth[i]) / allowed);
    EXPECT_LE(std::abs(ours[i] - truth[i]), allowed) << fmt::format(
        "step {}: ours is {}, one rank's {}, the truth {}; off by {:.2e}, one rank by {:.2e} up to "
        "here; {}",
        i + 1, ours[i], one_rank.at(0).at(i), truth[i], std::abs(ours[i] - truth[i]), worst,
        circumstances());
  }
  ::testing::Test::RecordProperty("share_of_what_is_allowed", fmt::format("{:.3f}", share));
}

}  // namespace galvatron::train
