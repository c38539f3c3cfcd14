// Which part of a blend, and which of its shuffled samples, comes when: places that are computed
// one by one beside an index of all of them, as Megatron-LM builds it (the part that is furthest
// behind its share comes next; each part's samples in a shuffled table), turn by turn.
//   bench_blending [SAMPLES]
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "galvatron/base/progress.h"
#include "galvatron/data/blend_order.h"
#include "galvatron/data/epoch_order.h"

namespace {

using galvatron::now_seconds;

struct Index {
  std::vector<std::int16_t> part;
  std::vector<std::int64_t> sample;              // of the part
  std::vector<std::vector<std::int64_t>> table;  // of a part: its samples in their order
};

Index build_index(const std::vector<double>& weights, std::int64_t samples) {
  Index out;
  out.part.resize(static_cast<std::size_t>(samples));
  out.sample.resize(static_cast<std::size_t>(samples));
  std::vector<std::int64_t> taken(weights.size(), 0);
  for (std::size_t i = 0; i < out.part.size(); ++i) {
    const double due = std::max(static_cast<double>(i), 1.0);
    std::size_t behind = 0;
    double most = -1e300;
    for (std::size_t part = 0; part < weights.size(); ++part) {
      const double error = weights[part] * due - static_cast<double>(taken[part]);
      if (error <= most) continue;
      most = error;
      behind = part;
    }
    out.part[i] = static_cast<std::int16_t>(behind);
    out.sample[i] = taken[behind]++;
  }
  std::mt19937_64 random(1);
  for (const std::int64_t count : taken) {
    std::vector<std::int64_t>& table = out.table.emplace_back(static_cast<std::size_t>(count));
    std::iota(table.begin(), table.end(), 0);
    std::shuffle(table.begin(), table.end(), random);
  }
  return out;
}

std::string spread(std::vector<double> values, const char* form) {
  std::ranges::sort(values);
  return fmt::format("{} ({} to {})", fmt::format(fmt::runtime(form), values[values.size() / 2]),
                     fmt::format(fmt::runtime(form), values.front()),
                     fmt::format(fmt::runtime(form), values.back()));
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kTurns = 5;
  const std::int64_t samples = argc > 1 ? std::strtoll(argv[1], nullptr, 10) : 10'000'000;
  fmt::print("{} samples; median (least to most) of {} turns\n", samples, kTurns);
  fmt::print("{:>6}  {:>28}  {:>28}  {:>28}  {:>28}  {:>12}\n", "parts", "index, s",
             "before the first, us", "each sample, ns", "all samples beside index", "index, MB");
  for (const std::size_t parts :
       {std::size_t{2}, std::size_t{8}, std::size_t{32}, std::size_t{128}}) {
    std::vector<double> weights(parts);
    for (std::size_t i = 0; i < parts; ++i) weights[i] = 1.0 / static_cast<double>(i + 1);
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (double& weight : weights) weight /= sum;
    std::vector<double> built, opened, each, ratio;
    std::int64_t together = 0;
    for (int turn = 0; turn < kTurns; ++turn) {
      const double start = now_seconds();
      const Index index = build_index(weights, samples);
      const double middle = now_seconds();
      const galvatron::data::BlendOrder order(galvatron::data::shares_of_weights(weights), 1);
      const auto first = order.place(0);
      const double opening = now_seconds();
      for (std::int64_t i = 0; i < samples; ++i) {
        const auto place = order.place(i);
        const galvatron::data::EpochOrder own{{0, samples}, true, 1};
        together += own.index_in_file(place.sample) + static_cast<std::int64_t>(place.part);
      }
      const double end = now_seconds();
      together += index.table[first.part].back();
      built.push_back(middle - start);
      opened.push_back(1e6 * (opening - middle));
      each.push_back(1e9 * (end - opening) / static_cast<double>(samples));
      ratio.push_back((end - middle) / (middle - start));
    }
    fmt::print("{:>6}  {:>28}  {:>28}  {:>28}  {:>28}  {:>12.0f}\n", parts, spread(built, "{:.2f}"),
               spread(opened, "{:.1f}"), spread(each, "{:.0f}"), spread(ratio, "{:.2f}"),
               static_cast<double>(samples) * (2 + 8 + 8) / 1e6);
    if (together == 0) return 1;  // so that nothing is left out
  }
}
