// Best-fit-decreasing packing of documents into samples of one length (Ding et al. 2024, "Fewer
// truncations improve language modeling").
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace galvatron::data {

// Items by bin: those of bin i are items[begins[i]] .. items[begins[i + 1] - 1], by their number.
struct Packing {
  std::vector<std::int64_t> items;
  std::vector<std::int64_t> begins;  // one more than there are bins
  std::int64_t num_bins() const { return static_cast<std::int64_t>(begins.size()) - 1; }
};

// The longest first, each into the bin that it leaves the least room in, of equals the one that
// came to have this room first.
// Bins come in the order of their first items. The same for the same sizes, in O(n log capacity).
// REQUIRES: 0 < size <= capacity for each.
Packing pack_best_fit(std::span<const std::int32_t> sizes, std::int32_t capacity);

}  // namespace galvatron::data
