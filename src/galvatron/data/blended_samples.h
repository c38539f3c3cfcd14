// Samples of several sources in one row, each with its share.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "galvatron/data/blend_order.h"
#include "galvatron/data/sample_source.h"

namespace galvatron::data {

struct BlendPart {
  std::string name;  // for messages
  std::unique_ptr<SampleSource> samples;
};

// How much of a part a run reads.
struct BlendUse {
  std::string name;
  double share = 0;          // of all samples
  std::int64_t size = 0;     // samples of the part
  std::int64_t samples = 0;  // that are read
  double epochs() const { return static_cast<double>(samples) / static_cast<double>(size); }
};

// The samples of a part come in its own order, epoch after epoch of it. An epoch of the blend is as
// many samples as its parts have together: where shares are the parts' sizes, each of them once.
class BlendedSamples : public SampleSource {
 public:
  // `shares`: as BlendOrder has them; empty: the parts' sizes. REQUIRES: parts of one task and
  // length, at least one.
  BlendedSamples(std::vector<BlendPart> parts, std::vector<std::int64_t> shares,
                 std::uint64_t seed);

  std::int64_t size() const override { return size_; }
  std::int64_t seq_length() const override { return parts_[0].samples->seq_length(); }
  at::Tensor fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                   Range tokens) const override;
  bool says(spec::InputKind kind) const override { return parts_[0].samples->says(kind); }
  double num_labels(std::int64_t consumed, std::int64_t count) const override;

  // Of a run of so many samples.
  std::vector<BlendUse> use_of(std::int64_t samples) const;

 private:
  std::vector<BlendPart> parts_;
  std::vector<std::int64_t> shares_;
  std::int64_t size_ = 0;
  BlendOrder order_;
};

}  // namespace galvatron::data
