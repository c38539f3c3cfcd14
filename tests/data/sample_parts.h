// What every source of samples promises: rectangles are cut from one batch.
#pragma once
#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "galvatron/data/sample_source.h"

namespace galvatron::data {

// Samples consumed .. consumed + 7 in pieces against the same fetched at once.
inline void expect_parts_make_up_the_whole(const SampleSource& source, spec::InputKind kind,
                                           std::int64_t length, std::int64_t consumed) {
  const at::Tensor whole = source.fetch(kind, consumed, {0, 8}, {0, length});
  EXPECT_TRUE(at::equal(whole.slice(0, 3), source.fetch(kind, consumed + 3, {0, 5}, {0, length})));
  const std::int64_t middle = length / 3;
  for (const Range samples : {Range{0, 3}, Range{3, 8}, Range{5, 5}}) {
    for (const Range tokens : {Range{0, middle}, Range{middle, length}, Range{1, 1}}) {
      const at::Tensor cut =
          whole.slice(0, samples.begin, samples.end).slice(1, tokens.begin, tokens.end);
      EXPECT_TRUE(at::equal(source.fetch(kind, consumed, samples, tokens), cut));
    }
  }
}

}  // namespace galvatron::data
