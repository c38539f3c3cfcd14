// How many logits exist at one time: a rule that the runtime follows and predictions count on.
#pragma once
#include <algorithm>
#include <cstdint>

namespace galvatron {

constexpr std::int64_t kLogitsAtOnce = std::int64_t{1} << 23;  // 32 MiB in fp32
constexpr std::int64_t kFewestLogitRows = 64;

// Tokens, or images, whose logits exist at one time on a rank that holds `vocab` columns of them.
constexpr std::int64_t rows_of_logits_at_once(std::int64_t vocab) {
  return std::max(kFewestLogitRows, kLogitsAtOnce / vocab);
}

}  // namespace galvatron
