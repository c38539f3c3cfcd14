// Which of several parts each sample of a blend is of: a share for each part, kept at every moment.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace galvatron::data {

// Any sample is found alone, in O(log parts), without a table: parts are halved again and again,
// and of the first n samples that reach a fork floor((n x left + phase) / all) turn left. At any
// time a part has had its share of the samples to within the depth of the forks, and once in every
// sum-of-shares samples exactly. Phases are functions of (seed, fork), so the order is one of
// (shares, seed), the same on every rank and after every restart.
class BlendOrder {
 public:
  // REQUIRES: shares > 0, of at least one part, that sum to at most kMostShares.
  BlendOrder(std::span<const std::int64_t> shares, std::uint64_t seed);

  struct Place {
    std::size_t part = 0;
    std::int64_t sample = 0;  // how many of the part came before
  };
  // REQUIRES: 0 <= sample < 2^62.
  Place place(std::int64_t sample) const;
  // Of the first `samples` those of each part.
  std::vector<std::int64_t> counts(std::int64_t samples) const;

  static constexpr std::int64_t kMostShares = std::int64_t{1} << 62;

 private:
  // Parts [begin, end) of the blend are divided at `middle`.
  struct Fork {
    std::size_t begin = 0, middle = 0, end = 0;
    std::size_t left = 0, right = 0;  // forks below; of one part alone none
    std::int64_t left_share = 0, share = 0, phase = 0;
  };
  std::size_t add_fork(std::size_t begin, std::size_t end);
  static std::int64_t left_of(const Fork& fork, std::int64_t samples);

  std::vector<std::int64_t> before_;  // sums of the shares in front of each part
  std::uint64_t seed_;
  std::vector<Fork> forks_;
};

// Weights as shares, exact to 2^-48 of their sum. REQUIRES: weights are finite and > 0.
std::vector<std::int64_t> shares_of_weights(std::span<const double> weights);

}  // namespace galvatron::data
