// An endless row of token sequences: what text samples of every kind are made of.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/base/partition.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::data {

// Shapes: B the samples asked for, S the token positions asked for. int64, on the CPU.
struct NextTokens {
  at::Tensor inputs;  // [B, S]
  at::Tensor labels;  // [B, S]: the token after each input; -100 where that is of another document
};

// A document, or a piece of one, in a sample.
struct DocumentPart {
  Range tokens;
  // The token behind it in the row is its next one: the label of its last. Only at a sample's end.
  bool goes_on = false;
};

// The number of samples consumed so far is the whole state: reading changes nothing, and a run that
// resumes passes the count at which it stopped. Every rank sees the same samples, however they are
// divided over ranks.
class TokenRows {
 public:
  virtual ~TokenRows() = default;

  virtual std::int64_t size() const = 0;        // samples per epoch, > 0
  virtual std::int64_t seq_length() const = 0;  // tokens of a sample
  virtual std::int64_t vocab_size() const = 0;  // every token is below

  // Writes the tokens at positions first, first + 1, ... of the run's sample `sample`. The last
  // position there is, the label of the last input, is seq_length(). Epochs follow one another
  // without a gap.
  virtual void read_tokens(std::int64_t sample, std::int64_t first,
                           std::span<std::int64_t> out) const = 0;

  // Are documents kept apart? Else a sample is one text that goes on behind it.
  virtual bool has_documents() const { return false; }
  // Of the run's sample `sample`, in order; tokens outside are padding. REQUIRES: has_documents().
  virtual std::vector<DocumentPart> documents(std::int64_t) const { return {}; }

  // Samples consumed + samples.begin .. consumed + samples.end - 1 of the run, positions `tokens`
  // of each. Ranges may be empty. REQUIRES: consumed >= 0, samples.begin >= 0, `tokens` within
  // [0, seq_length()].
  NextTokens next_tokens(std::int64_t consumed, Range samples, Range tokens) const;
  // Of the same tokens the number of their document in the sample, from 1; 0 is padding.
  // REQUIRES: has_documents().
  at::Tensor document_ids(std::int64_t consumed, Range samples, Range tokens) const;
  // And their place in it.
  at::Tensor positions(std::int64_t consumed, Range samples, Range tokens) const;

 protected:
  TokenRows() = default;
  TokenRows(const TokenRows&) = default;
  TokenRows& operator=(const TokenRows&) = default;
};

// Do rows know what data may say of their samples (SampleSource::says)?
bool says_documents(const TokenRows& rows, spec::InputKind kind);

}  // namespace galvatron::data
