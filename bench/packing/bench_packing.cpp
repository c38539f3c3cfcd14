// Packing documents into samples: documents a second, how full samples get, and the time beside
// best fit over a std::multimap of rooms, turn by turn.
//   bench_packing [DOCUMENTS]
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <numeric>
#include <random>
#include <vector>

#include <fmt/format.h>

#include "galvatron/base/progress.h"
#include "galvatron/data/best_fit.h"

namespace {

// As long as web pages are: a median of 400 tokens, a long tail, cut at the sample's length.
std::vector<std::int32_t> random_sizes(std::size_t count, std::int32_t capacity) {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> length(std::log(400.0), 1.2);
  std::vector<std::int32_t> sizes(count);
  for (std::int32_t& size : sizes)
    size = static_cast<std::int32_t>(std::clamp(length(random), 2.0, double(capacity)));
  return sizes;
}

std::int64_t pack_by_map(const std::vector<std::int32_t>& sizes, std::int32_t capacity) {
  std::vector<std::size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return sizes[a] > sizes[b]; });
  std::multimap<std::int32_t, std::int64_t> bins;  // by room
  std::int64_t count = 0;
  for (const std::size_t item : order) {
    const auto best = bins.lower_bound(sizes[item]);
    const std::int32_t room = best == bins.end() ? capacity : best->first;
    const std::int64_t bin = best == bins.end() ? count++ : best->second;
    if (best != bins.end()) bins.erase(best);
    if (room > sizes[item]) bins.emplace(room - sizes[item], bin);
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2'000'000;
  fmt::print("{:>7} {:>12} {:>10} {:>16} {:>10}  {}\n", "tokens", "documents", "samples",
             "documents/s", "full", "time beside a multimap (least, median, most of 5 turns)");
  for (const std::int32_t capacity : {1024, 4096, 32768}) {
    const std::vector<std::int32_t> sizes = random_sizes(count, capacity);
    std::vector<double> ratios, seconds;
    galvatron::data::Packing packing;
    for (int turn = 0; turn < 5; ++turn) {
      const double start = galvatron::now_seconds();
      packing = galvatron::data::pack_best_fit(sizes, capacity);
      const double middle = galvatron::now_seconds();
      const std::int64_t bins = pack_by_map(sizes, capacity);
      const double end = galvatron::now_seconds();
      if (bins != packing.num_bins()) fmt::print("{} samples by the map\n", bins);
      seconds.push_back(middle - start);
      ratios.push_back((middle - start) / (end - middle));
    }
    std::ranges::sort(ratios);
    std::ranges::sort(seconds);
    const double tokens = std::accumulate(sizes.begin(), sizes.end(), 0.0);
    fmt::print("{:>7} {:>12} {:>10} {:>16.0f} {:>9.2f}%  {:.2f} {:.2f} {:.2f}\n", capacity, count,
               packing.num_bins(), static_cast<double>(count) / seconds[2],
               100 * tokens / (static_cast<double>(packing.num_bins()) * capacity), ratios[0],
               ratios[2], ratios[4]);
  }
}
