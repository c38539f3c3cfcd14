// How many attention scores exist at one time where no fused kernel computes them: a rule that the
// runtime follows and predictions count on.
#pragma once
#include <cstdint>

namespace galvatron {

constexpr std::int64_t kScoresAtOnceOnCpu = std::int64_t{1} << 19;  // 2 MiB in fp32: a cache's
constexpr std::int64_t kScoresAtOnceOnAccelerator = std::int64_t{1} << 26;  // 256 MiB
constexpr std::int64_t kFewestQueries = 16;

constexpr std::int64_t scores_at_once(bool on_cpu) {
  return on_cpu ? kScoresAtOnceOnCpu : kScoresAtOnceOnAccelerator;
}

}  // namespace galvatron
