#include "galvatron/base/partition.h"

#include <algorithm>

namespace galvatron {

std::vector<std::int64_t> divisors(std::int64_t value) {
  std::vector<std::int64_t> out;
  for (std::int64_t d = 1; d * d <= value; ++d) {
    if (value % d != 0) continue;
    out.push_back(d);
    if (d != value / d) out.push_back(value / d);
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace galvatron
