#include "galvatron/data/best_fit.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "galvatron/base/error.h"

namespace galvatron::data {
namespace {

// Which rooms there are, with the smallest of at least so much in a few steps: a bit for each room,
// and above each 64 of them a bit that says whether any is set.
class RoomSet {
 public:
  explicit RoomSet(std::int64_t rooms) {
    for (std::int64_t bits = rooms; levels_.empty() || bits > 1; bits = (bits + 63) / 64)
      levels_.emplace_back(static_cast<std::size_t>((bits + 63) / 64), 0);
  }

  void insert(std::int64_t room) {
    for (auto& level : levels_) {
      level[word(room)] |= bit(room);
      room >>= 6;
    }
  }

  void erase(std::int64_t room) {
    for (auto& level : levels_) {
      level[word(room)] &= ~bit(room);
      if (level[word(room)] != 0) return;
      room >>= 6;
    }
  }

  // -1: there is none.
  std::int64_t at_least(std::int64_t room) const {
    for (std::size_t level = 0; level < levels_.size(); ++level) {
      if (word(room) >= levels_[level].size()) return -1;
      const std::uint64_t above = levels_[level][word(room)] & ~(bit(room) - 1);
      if (above != 0) return lowest_of(level, (room & ~std::int64_t{63}) + std::countr_zero(above));
      room = (room >> 6) + 1;
    }
    return -1;
  }

 private:
  static std::size_t word(std::int64_t room) { return static_cast<std::size_t>(room >> 6); }
  static std::uint64_t bit(std::int64_t room) { return std::uint64_t{1} << (room & 63); }

  std::int64_t lowest_of(std::size_t level, std::int64_t place) const {
    for (; level > 0; --level)
      place = place * 64 + std::countr_zero(levels_[level - 1][static_cast<std::size_t>(place)]);
    return place;
  }

  std::vector<std::vector<std::uint64_t>> levels_;
};

// Numbers of the items, the largest first, of equals the first.
std::vector<std::int64_t> largest_first(std::span<const std::int32_t> sizes,
                                        std::int32_t capacity) {
  // By size, where the next item of it goes: behind all that are larger.
  std::vector<std::int64_t> next(static_cast<std::size_t>(capacity) + 1, 0);
  for (const std::int32_t size : sizes) {
    GALV_CHECK(size > 0 && size <= capacity, "an item of ", size, " for bins of ", capacity);
    ++next[static_cast<std::size_t>(size) - 1];
  }
  for (std::size_t size = next.size() - 1; size > 0; --size) next[size - 1] += next[size];
  std::vector<std::int64_t> out(sizes.size());
  for (std::size_t i = 0; i < sizes.size(); ++i)
    out[static_cast<std::size_t>(next[static_cast<std::size_t>(sizes[i])]++)] =
        static_cast<std::int64_t>(i);
  return out;
}

// Bins by the room that they have left, the oldest of a room first.
class OpenBins {
 public:
  explicit OpenBins(std::int32_t capacity)
      : rooms_(capacity + 1), bins_(static_cast<std::size_t>(capacity) + 1) {}

  // A bin with at least so much room, the least of all; a new one where there is none.
  std::int64_t take(std::int32_t size, std::int32_t capacity, std::int32_t& room) {
    const std::int64_t best = rooms_.at_least(size);
    room = best < 0 ? capacity : static_cast<std::int32_t>(best);
    if (best < 0) return num_bins_++;
    Queue& queue = bins_[static_cast<std::size_t>(best)];
    const std::int64_t bin = queue.bins[queue.first++];
    if (queue.first == queue.bins.size()) {
      queue = {};
      rooms_.erase(best);
    }
    return bin;
  }

  void put(std::int64_t bin, std::int32_t room) {
    if (room == 0) return;
    Queue& queue = bins_[static_cast<std::size_t>(room)];
    if (queue.bins.empty()) rooms_.insert(room);
    queue.bins.push_back(bin);
  }

  std::int64_t num_bins() const { return num_bins_; }

 private:
  struct Queue {
    std::vector<std::int64_t> bins;
    std::size_t first = 0;
  };
  RoomSet rooms_;
  std::vector<Queue> bins_;
  std::int64_t num_bins_ = 0;
};

// From the bin of each item.
Packing by_bin(const std::vector<std::int64_t>& bin_of, std::int64_t num_bins) {
  // Bins in the order of their first items.
  std::vector<std::int64_t> place(static_cast<std::size_t>(num_bins), -1);
  std::int64_t seen = 0;
  Packing out;
  out.begins.assign(static_cast<std::size_t>(num_bins) + 1, 0);
  for (const std::int64_t bin : bin_of) {
    std::int64_t& at = place[static_cast<std::size_t>(bin)];
    if (at < 0) at = seen++;
    ++out.begins[static_cast<std::size_t>(at) + 1];
  }
  std::partial_sum(out.begins.begin(), out.begins.end(), out.begins.begin());
  std::vector<std::int64_t> next(out.begins.begin(), out.begins.end() - 1);
  out.items.resize(bin_of.size());
  for (std::size_t i = 0; i < bin_of.size(); ++i) {
    const auto at = static_cast<std::size_t>(place[static_cast<std::size_t>(bin_of[i])]);
    out.items[static_cast<std::size_t>(next[at]++)] = static_cast<std::int64_t>(i);
  }
  return out;
}

}  // namespace

Packing pack_best_fit(std::span<const std::int32_t> sizes, std::int32_t capacity) {
  OpenBins open(capacity);
  std::vector<std::int64_t> bin_of(sizes.size());
  for (const std::int64_t item : largest_first(sizes, capacity)) {
    const std::int32_t size = sizes[static_cast<std::size_t>(item)];
    std::int32_t room = 0;
    const std::int64_t bin = open.take(size, capacity, room);
    bin_of[static_cast<std::size_t>(item)] = bin;
    open.put(bin, room - size);
  }
  return by_bin(bin_of, open.num_bins());
}

}  // namespace galvatron::data
