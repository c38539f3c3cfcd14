// How many logits exist at one time: a rule that the runtime follows and predictions count on.
#pragma once
#include <algorithm>
#include <cstdint>

namespace galvatron {

// Of fp32. Every chunk of rows reads the whole output matrix and the sum of its gradients, and adds
// to that: an accelerator needs a thousand rows a chunk before arithmetic hides this, where a CPU
// wants logits that stay near its caches.
constexpr std::int64_t kLogitsAtOnceOnCpu = std::int64_t{1} << 23;          // 32 MiB
constexpr std::int64_t kLogitsAtOnceOnAccelerator = std::int64_t{1} << 27;  // 512 MiB
constexpr std::int64_t kFewestLogitRows = 64;

constexpr std::int64_t logits_at_once(bool on_cpu) {
  return on_cpu ? kLogitsAtOnceOnCpu : kLogitsAtOnceOnAccelerator;
}

// Tokens, or images, whose logits exist at one time on a rank that holds `vocab` columns of them.
constexpr std::int64_t rows_of_logits_at_once(std::int64_t vocab, bool on_cpu) {
  return std::max(kFewestLogitRows, logits_at_once(on_cpu) / vocab);
}

}  // namespace galvatron
