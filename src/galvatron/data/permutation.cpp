#include "galvatron/data/permutation.h"

#include <bit>

#include "galvatron/base/error.h"
#include "galvatron/base/scramble.h"

namespace galvatron::data {
namespace {

constexpr int kRounds = 6;

}  // namespace

Permutation::Permutation(std::int64_t size, std::uint64_t key)
    : size_(static_cast<std::uint64_t>(size)), key_(scramble(key)) {
  GALV_CHECK(size > 0 && size <= std::int64_t{1} << 62, "size ", size);
  half_bits_ = (std::bit_width(size_ - 1) + 1) / 2;
  if (half_bits_ == 0) half_bits_ = 1;
}

std::uint64_t Permutation::encipher(std::uint64_t word) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = word >> half_bits_;
  std::uint64_t right = word & mask;
  for (int round = 0; round < kRounds; ++round) {
    // Rounds have keys of their own: a key XORed with the round number alone would tie them
    // together.
    const std::uint64_t mixed =
        scramble(scramble(key_ + static_cast<std::uint64_t>(round)) ^ right);
    const std::uint64_t next = left ^ (mixed & mask);
    left = right;
    right = next;
  }
  return left << half_bits_ | right;
}

std::int64_t Permutation::operator()(std::int64_t index) const {
  GALV_CHECK(index >= 0 && static_cast<std::uint64_t>(index) < size_, "index ", index, " of ",
             size_);
  auto word = static_cast<std::uint64_t>(index);
  do {
    word = encipher(word);
  } while (word >= size_);
  return static_cast<std::int64_t>(word);
}

}  // namespace galvatron::data
