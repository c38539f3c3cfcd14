#include "galvatron/train/read_ahead.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "galvatron/base/error.h"

#include "config_error.h"

namespace galvatron::train {
namespace {

using spec::InputKind;

constexpr std::int64_t kBatch = 4, kLength = 6;

// Token t of sample s is 100 s + t. Counts what is read, and fails at one sample.
class CountedSamples : public data::SampleSource {
 public:
  std::int64_t size() const override { return 1000; }
  std::int64_t seq_length() const override { return kLength; }
  at::Tensor fetch(InputKind, std::int64_t consumed, Range samples, Range tokens) const override {
    ++reads;
    most = std::max(most.load(), consumed + samples.end);
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    if (std::this_thread::get_id() != asker && !sigismember(&blocked, SIGTERM))
      hears_signals = true;
    if (std::this_thread::get_id() != asker) ++reads_ahead;
    std::this_thread::sleep_for(std::chrono::microseconds(pause));
    if (consumed + samples.begin <= bad && bad < consumed + samples.end)
      throw ConfigError("sample ", bad, " is bad");
    const at::Tensor rows = at::arange(consumed + samples.begin, consumed + samples.end, at::kLong);
    const at::Tensor columns = at::arange(tokens.begin, tokens.end, at::kLong);
    return rows.unsqueeze(1).mul(100).add(columns);
  }
  double num_labels(std::int64_t consumed, std::int64_t count) const override {
    return static_cast<double>(consumed + count);
  }
  bool may_be_read_ahead() const override { return ahead; }

  mutable std::atomic<std::int64_t> reads{0}, reads_ahead{0}, most{0};
  mutable std::atomic<bool> hears_signals{false};
  std::thread::id asker = std::this_thread::get_id();
  std::int64_t bad = -1;
  std::atomic<std::int64_t> pause{0};
  bool ahead = true;
};

// What a step asks for: two microbatches, and the labels of the second half of the sequence.
void take_step(runtime::InputSource& batch, std::int64_t consumed) {
  EXPECT_EQ(batch.num_labels(), static_cast<double>(consumed + kBatch));
  for (const Range samples : {Range{0, 2}, Range{2, 4}}) {
    for (const auto& [kind, tokens] :
         {std::pair{InputKind::kTokens, Range{0, 3}}, std::pair{InputKind::kLabels, Range{3, 6}}}) {
      const at::Tensor value = batch.fetch(kind, samples, tokens);
      EXPECT_EQ(value.sizes(), (at::IntArrayRef{samples.size(), tokens.size()}));
      EXPECT_EQ(value[0][0].item<std::int64_t>(), 100 * (consumed + samples.begin) + tokens.begin);
    }
  }
}

TEST(ReadAhead, HandsOutWhatIsAskedFor) {
  CountedSamples samples;
  samples.pause = 200;
  ReadAhead reader(samples, kBatch, 20 * kBatch);
  for (std::int64_t step = 0; step < 20; ++step)
    take_step(reader.batch(step * kBatch), step * kBatch);
  EXPECT_EQ(samples.reads, 20 * 4) << "each rectangle is read once, and none beyond the last step";
  EXPECT_GT(samples.reads_ahead, 0);
  EXPECT_EQ(samples.most, 20 * kBatch);
  EXPECT_FALSE(samples.hears_signals);
}

void wait_for_batches(const CountedSamples& samples, std::int64_t batches) {
  while (samples.reads < 4 * batches) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST(ReadAhead, WhatWaitsIsBoundedAndNeedsNoWaiting) {
  constexpr auto kAhead = static_cast<std::int64_t>(ReadAhead::kBatchesAhead);
  CountedSamples samples;
  samples.pause = 3000;
  ReadAhead reader(samples, kBatch, 100 * kBatch);
  take_step(reader.batch(0), 0);
  EXPECT_GE(reader.waited(), 4 * 0.003);
  take_step(reader.batch(kBatch), kBatch);
  wait_for_batches(samples, 2 + kAhead);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(samples.reads, 4 * (2 + kAhead));
  samples.pause = 1'000'000;  // of the batches that nobody waits for
  take_step(reader.batch(2 * kBatch), 2 * kBatch);
  EXPECT_LT(reader.waited(), 1);
  EXPECT_LE(samples.reads, 4 * (2 + kAhead) + 1);
  samples.pause = 0;
}

TEST(ReadAhead, AJumpAndOtherQuestionsAreAnsweredAsWell) {
  CountedSamples samples;
  ReadAhead reader(samples, kBatch, 1000);
  for (const std::int64_t consumed : {0, 4, 8, 400, 404, 0, 4}) {
    runtime::InputSource& batch = reader.batch(consumed);
    take_step(batch, consumed);
    EXPECT_EQ(batch.fetch(InputKind::kTokens, {1, 2}, {5, 6}).item<std::int64_t>(),
              100 * (consumed + 1) + 5);
    // Twice the same, as two layers may ask.
    for (int i = 0; i < 2; ++i)
      EXPECT_EQ(batch.fetch(InputKind::kPositions, {0, 1}, {0, 1}).item<std::int64_t>(),
                100 * consumed);
  }
}

TEST(ReadAhead, AFailureIsOfTheStepThatNeedsTheSample) {
  CountedSamples samples;
  samples.bad = 14;
  ReadAhead reader(samples, kBatch, 100);
  for (const std::int64_t consumed : {0, 4, 8}) take_step(reader.batch(consumed), consumed);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  runtime::InputSource& batch = reader.batch(12);
  EXPECT_EQ(batch.fetch(InputKind::kTokens, {0, 2}, {0, 3})[0][0].item<std::int64_t>(), 1200);
  EXPECT_EQ(config_error_of([&] { batch.fetch(InputKind::kTokens, {2, 4}, {0, 3}); }),
            "sample 14 is bad");
}

TEST(ReadAhead, WhoAsksForNothingReadsNothing) {
  CountedSamples samples;
  ReadAhead reader(samples, kBatch, 1000);
  for (std::int64_t step = 0; step < 5; ++step) reader.batch(step * kBatch).num_labels();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(samples.reads, 0);
}

TEST(ReadAhead, SamplesOfOneThreadStayThere) {
  CountedSamples samples;
  samples.ahead = false;
  ReadAhead reader(samples, kBatch, 1000);
  for (std::int64_t step = 0; step < 5; ++step)
    take_step(reader.batch(step * kBatch), step * kBatch);
  EXPECT_EQ(samples.reads_ahead, 0);
}

TEST(ReadAhead, EndsInTheMiddleOfARead) {
  CountedSamples samples;
  samples.pause = 20'000;
  for (int i = 0; i < 5; ++i) {
    ReadAhead reader(samples, kBatch, 1000);
    take_step(reader.batch(0), 0);
    reader.batch(kBatch);
  }
  SUCCEED();
}

}  // namespace
}  // namespace galvatron::train
