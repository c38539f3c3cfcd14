#include "galvatron/data/epoch_order.h"

#include "galvatron/base/error.h"
#include "galvatron/base/scramble.h"
#include "galvatron/data/permutation.h"

namespace galvatron::data {

std::int64_t EpochOrder::index_in_file(std::int64_t sample) const {
  GALV_CHECK(sample >= 0, "sample ", sample);
  const std::int64_t place = sample % part.size();
  if (!shuffle) return part.begin + place;
  const auto epoch = static_cast<std::uint64_t>(epoch_of(sample));
  return part.begin + Permutation(part.size(), scramble(seed) + epoch)(place);
}

}  // namespace galvatron::data
