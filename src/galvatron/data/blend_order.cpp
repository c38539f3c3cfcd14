#include "galvatron/data/blend_order.h"

#include <algorithm>
#include <cmath>

#include "galvatron/base/error.h"
#include "galvatron/base/scramble.h"

namespace galvatron::data {
namespace {

constexpr std::uint64_t kBlendSalt = 0x626c656e64ULL;

}  // namespace

BlendOrder::BlendOrder(std::span<const std::int64_t> shares, std::uint64_t seed)
    : before_{0}, seed_(scramble(seed ^ kBlendSalt)) {
  GALV_CHECK(!shares.empty(), "a blend of nothing");
  for (const std::int64_t share : shares) {
    GALV_CHECK(share > 0 && share <= kMostShares - before_.back(), "share ", share, " behind ",
               before_.back());
    before_.push_back(before_.back() + share);
  }
  if (shares.size() > 1) add_fork(0, shares.size());
}

std::size_t BlendOrder::add_fork(std::size_t begin, std::size_t end) {
  const std::size_t index = forks_.size(), middle = begin + (end - begin) / 2;
  Fork fork{begin, middle, end};
  fork.left_share = before_[middle] - before_[begin];
  fork.share = before_[end] - before_[begin];
  fork.phase =
      static_cast<std::int64_t>(scramble(seed_ + index) % static_cast<std::uint64_t>(fork.share));
  forks_.push_back(fork);
  if (middle - begin > 1) {
    const std::size_t left = add_fork(begin, middle);
    forks_[index].left = left;
  }
  if (end - middle > 1) {
    const std::size_t right = add_fork(middle, end);
    forks_[index].right = right;
  }
  return index;
}

std::int64_t BlendOrder::left_of(const Fork& fork, std::int64_t samples) {
  const __int128 reached = static_cast<__int128>(samples) * fork.left_share + fork.phase;
  return static_cast<std::int64_t>(reached / fork.share);
}

BlendOrder::Place BlendOrder::place(std::int64_t sample) const {
  GALV_CHECK(sample >= 0, "sample ", sample);
  if (forks_.empty()) return {0, sample};
  for (std::size_t at = 0;;) {
    const Fork& fork = forks_[at];
    const std::int64_t left = left_of(fork, sample);
    const bool turns_left = left_of(fork, sample + 1) > left;
    sample = turns_left ? left : sample - left;
    at = turns_left ? fork.left : fork.right;
    if (at == 0) return {turns_left ? fork.begin : fork.middle, sample};
  }
}

std::vector<std::int64_t> BlendOrder::counts(std::int64_t samples) const {
  std::vector<std::int64_t> out(before_.size() - 1, samples);
  std::vector<std::int64_t> reaching(forks_.size(), samples);
  // Forks lie in front of those below them.
  for (std::size_t at = 0; at < forks_.size(); ++at) {
    const Fork& fork = forks_[at];
    const std::int64_t left = left_of(fork, reaching[at]), right = reaching[at] - left;
    (fork.left == 0 ? out[fork.begin] : reaching[fork.left]) = left;
    (fork.right == 0 ? out[fork.middle] : reaching[fork.right]) = right;
  }
  return out;
}

std::vector<std::int64_t> shares_of_weights(std::span<const double> weights) {
  constexpr double kSum = static_cast<double>(std::int64_t{1} << 48);
  const double largest = *std::max_element(weights.begin(), weights.end());
  double sum = 0;  // of numbers up to 1: weights themselves may sum to more than a double holds
  for (const double weight : weights) sum += weight / largest;
  std::vector<std::int64_t> out;
  for (const double weight : weights)
    out.push_back(std::max<std::int64_t>(1, std::llround(weight / largest / sum * kSum)));
  return out;
}

}  // namespace galvatron::data
