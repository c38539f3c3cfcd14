// Samples made of arithmetic: token = hash of (seed, sample, position). For benchmarks and tests,
// where no file is meant to be read.
#pragma once
#include <cstdint>

#include "galvatron/data/token_rows.h"

namespace galvatron::data {

class SyntheticSamples : public TokenRows {
 public:
  // `size`: samples per epoch; every epoch repeats the same ones in the same order. ConfigError
  // unless all are positive.
  SyntheticSamples(std::int64_t size, std::int64_t seq_length, std::int64_t vocab_size,
                   std::uint64_t seed = 0);

  std::int64_t size() const override { return size_; }
  std::int64_t seq_length() const override { return seq_length_; }
  std::int64_t vocab_size() const override { return vocab_size_; }

  void read_tokens(std::int64_t sample, std::int64_t first,
                   std::span<std::int64_t> out) const override;

 private:
  std::int64_t size_;
  std::int64_t seq_length_;
  std::int64_t vocab_size_;
  std::uint64_t seed_;
};

}  // namespace galvatron::data
