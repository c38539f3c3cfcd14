// Random small models of every family.
#pragma once
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "galvatron/base/json.h"

namespace galvatron::testing {

using Random = std::mt19937_64;

std::int64_t pick(Random& random, std::int64_t low, std::int64_t high);

template <typename T>
T pick_of(Random& random, const std::vector<T>& values) {
  return values[static_cast<std::size_t>(
      pick(random, 0, static_cast<std::int64_t>(values.size()) - 1))];
}

struct RandomModel {
  Json config;
  std::int64_t seq_length = 0;  // 0: images, whose length is their own
};

// Of one of the `families` (any where there are none): a few layers with odd sizes.
RandomModel random_model(Random& random, const std::vector<std::string>& families = {});

// Names that `families` above may hold: "gpt", "windows", "gemma" ...
std::vector<std::string> random_families();

}  // namespace galvatron::testing
