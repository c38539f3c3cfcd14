#include "galvatron/data/blend_order.h"

#include <cmath>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace galvatron::data {
namespace {

std::int64_t sum_of(const std::vector<std::int64_t>& values) {
  std::int64_t sum = 0;
  for (const std::int64_t value : values) sum += value;
  return sum;
}

TEST(BlendOrder, PartsKeepTheirSharesAtEveryMoment) {
  std::mt19937_64 random(7);
  for (std::size_t parts = 1; parts <= 9; ++parts) {
    std::vector<double> weights;
    for (std::size_t i = 0; i < parts; ++i)
      weights.push_back(std::exp(static_cast<double>(random() % 1000) / 150));
    const std::vector<std::int64_t> shares = shares_of_weights(weights);
    const BlendOrder order(shares, random());
    const double all = static_cast<double>(sum_of(shares));
    const double most_off = std::ceil(std::log2(static_cast<double>(parts))) + 1e-6;
    std::vector<std::int64_t> seen(parts, 0);
    for (std::int64_t sample = 0; sample < 3000; ++sample) {
      const BlendOrder::Place place = order.place(sample);
      EXPECT_EQ(place.sample, seen.at(place.part)++) << parts << " parts, sample " << sample;
      EXPECT_EQ(order.counts(sample + 1), seen);
      for (std::size_t part = 0; part < parts; ++part) {
        const double due =
            static_cast<double>(shares[part]) / all * static_cast<double>(sample + 1);
        EXPECT_LE(std::abs(static_cast<double>(seen[part]) - due), most_off);
      }
    }
  }
}

TEST(BlendOrder, WholeSharesAreReadOnceInEachEpoch) {
  const std::vector<std::int64_t> shares = {5, 1, 17, 3, 3};
  const BlendOrder order(shares, 3);
  for (std::int64_t epoch = 1; epoch <= 3; ++epoch) {
    std::vector<std::int64_t> due = shares;
    for (std::int64_t& count : due) count *= epoch;
    EXPECT_EQ(order.counts(epoch * sum_of(shares)), due);
  }
}

TEST(BlendOrder, IsAFunctionOfSharesAndSeed) {
  const std::vector<std::int64_t> shares = {2, 3, 5};
  const auto parts = [&](std::uint64_t seed) {
    const BlendOrder order(shares, seed);
    std::vector<std::size_t> out;
    for (std::int64_t sample = 0; sample < 40; ++sample) out.push_back(order.place(sample).part);
    return out;
  };
  EXPECT_EQ(parts(1), parts(1));
  std::set<std::vector<std::size_t>> orders;
  for (std::uint64_t seed = 0; seed < 20; ++seed) orders.insert(parts(seed));
  EXPECT_GT(orders.size(), 5U);
}

TEST(BlendOrder, FarSamplesAreFoundAlone) {
  const std::vector<double> weights = {1e-9, 1, 1e9};
  const BlendOrder order(shares_of_weights(weights), 5);
  for (std::int64_t sample : {std::int64_t{1} << 40, (std::int64_t{1} << 61) + 12345}) {
    const BlendOrder::Place place = order.place(sample);
    EXPECT_EQ(order.counts(sample).at(place.part), place.sample);
    EXPECT_EQ(order.counts(sample + 1).at(place.part), place.sample + 1);
    EXPECT_EQ(sum_of(order.counts(sample)), sample);
  }
}

TEST(BlendOrder, WeightsAreSharesOfTheirSum) {
  const std::vector<double> weights = {0.7, 0.3};
  const std::vector<std::int64_t> shares = shares_of_weights(weights);
  EXPECT_NEAR(static_cast<double>(shares[0]) / static_cast<double>(sum_of(shares)), 0.7, 1e-14);
  const std::vector<double> extreme = {1e308, 1e308, 1e-308};
  EXPECT_EQ(shares_of_weights(extreme).back(), 1);
  EXPECT_EQ(shares_of_weights(extreme)[0], std::int64_t{1} << 47);
}

}  // namespace
}  // namespace galvatron::data
