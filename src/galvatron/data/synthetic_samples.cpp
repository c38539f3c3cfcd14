#include "galvatron/data/synthetic_samples.h"

#include "galvatron/base/error.h"
#include "galvatron/base/scramble.h"

namespace galvatron::data {

SyntheticSamples::SyntheticSamples(std::int64_t size, std::int64_t seq_length,
                                   std::int64_t vocab_size, std::uint64_t seed)
    : size_(size), seq_length_(seq_length), vocab_size_(vocab_size), seed_(seed) {
  if (size < 1 || seq_length < 1 || vocab_size < 1) {
    throw ConfigError("[data] synthetic samples need positive sizes, not ", size, " samples of ",
                      seq_length, " tokens from a vocabulary of ", vocab_size);
  }
}

void SyntheticSamples::read_tokens(std::int64_t sample, std::int64_t first,
                                   std::span<std::int64_t> out) const {
  const std::uint64_t key = scramble(scramble(seed_) ^ static_cast<std::uint64_t>(sample % size_));
  auto position = static_cast<std::uint64_t>(first);
  for (std::int64_t& token : out) {
    token = static_cast<std::int64_t>(scramble(key + position++) %
                                      static_cast<std::uint64_t>(vocab_size_));
  }
}

}  // namespace galvatron::data
