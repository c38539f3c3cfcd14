// A shuffle that needs no memory: where the i-th of n places goes, computed alone.
#pragma once
#include <cstdint>

namespace galvatron::data {

// A bijection of [0, size), the same on every machine for the same (size, key). A Feistel network
// over the next power of four, walked until it lands inside (Black and Rogaway 2002, cycle
// walking): at most four steps on average.
class Permutation {
 public:
  // REQUIRES: 0 < size <= 2^62.
  Permutation(std::int64_t size, std::uint64_t key);

  // REQUIRES: 0 <= index < size.
  std::int64_t operator()(std::int64_t index) const;

 private:
  std::uint64_t encipher(std::uint64_t word) const;

  std::uint64_t size_;
  std::uint64_t key_;
  int half_bits_;
};

}  // namespace galvatron::data
