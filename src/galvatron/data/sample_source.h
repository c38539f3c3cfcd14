// What the training loop asks of its data: tensors of rectangles (samples x token positions) of an
// endless row of samples. One class for each task.
#pragma once
#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

#include "galvatron/base/partition.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::data {

inline constexpr std::int64_t kIgnoredLabel = -100;  // a label that does not count

// The number of samples consumed so far is the whole state of a source: fetch() changes nothing,
// and a run that resumes passes the count at which it stopped. Every rank sees the same samples,
// however they are divided over ranks.
class SampleSource {
 public:
  virtual ~SampleSource() = default;

  virtual std::int64_t size() const = 0;        // samples per epoch, > 0
  virtual std::int64_t seq_length() const = 0;  // tokens that a sample counts in tokens per second

  // Samples consumed + samples.begin .. consumed + samples.end - 1 of the run. Epochs follow one
  // another without a gap. Tokens and labels: positions `tokens` of the sequence that `kind`
  // belongs to, int64 [B, S]. Images: fp32 [B, channels, height, width], rows of pixels `tokens` or
  // all; classes: int64 [B]. On the CPU. Ranges may be empty. REQUIRES: a kind of this source's
  // task.
  virtual at::Tensor fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                           Range tokens) const = 0;
  // Does it say this, which no layer needs (kDocuments, kTargetDocuments, kPositions, kTokenTypes,
  // kSecondClasses)?
  virtual bool says(spec::InputKind) const { return false; }
  // May another thread fetch() at the same time, and what is due later?
  virtual bool may_be_read_ahead() const { return true; }
  // Where those are that come behind the first `consumed`, for a source whose samples are found one
  // behind the other; "" where each is found alone. What go_on_from() makes of it is no promise: a
  // source that cannot use it finds the samples from the start.
  virtual std::string state(std::int64_t) const { return ""; }
  virtual void go_on_from(std::int64_t, const std::string&) const {}
  // Labels that count in the `count` samples after the first `consumed`.
  virtual double num_labels(std::int64_t consumed, std::int64_t count) const = 0;

 protected:
  SampleSource() = default;
  SampleSource(const SampleSource&) = default;
  SampleSource& operator=(const SampleSource&) = default;
};

}  // namespace galvatron::data
