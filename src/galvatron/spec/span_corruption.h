// T5's pre-training task in numbers: spans of a text are replaced by one sentinel each, and the
// target is the sentinels with what they stand for (Raffel et al. 2020, section 3.1.4). Lengths as
// in transformers' run_t5_mlm_flax.py.
#pragma once
#include <cstdint>

namespace galvatron::spec {

struct SpanCorruption {
  std::int64_t text = 0;     // tokens of text that go into one sample
  std::int64_t noise = 0;    // of them, those that are replaced: about 15 %
  std::int64_t spans = 0;    // in this many spans, of 3 tokens on average
  std::int64_t inputs = 0;   // text - noise + spans + 1 (end of sequence)
  std::int64_t targets = 0;  // noise + spans + 1
};

// Of a text of that many tokens. REQUIRES: text >= 2.
SpanCorruption corruption_of_text(std::int64_t text);

// The most text whose inputs are at most `seq_length` long. REQUIRES: seq_length >= 3.
SpanCorruption span_corruption(std::int64_t seq_length);

// Tokens of `sample.text` that a text of its own takes in a sample of several: the larger of its
// shares of the inputs and of the targets. Texts for which they add up to sample.text at most fit
// in both. REQUIRES: 2 <= text <= sample.text.
std::int64_t tokens_taken(std::int64_t text, const SpanCorruption& sample);

}  // namespace galvatron::spec
