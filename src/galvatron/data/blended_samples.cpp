#include "galvatron/data/blended_samples.h"

#include <numeric>
#include <utility>

#include <ATen/ATen.h>

#include "galvatron/base/error.h"

namespace galvatron::data {
namespace {

std::vector<std::int64_t> shares_or_sizes(std::vector<std::int64_t> shares,
                                          const std::vector<BlendPart>& parts) {
  if (!shares.empty()) return shares;
  for (const BlendPart& part : parts) shares.push_back(part.samples->size());
  return shares;
}

}  // namespace

BlendedSamples::BlendedSamples(std::vector<BlendPart> parts, std::vector<std::int64_t> shares,
                               std::uint64_t seed)
    : parts_(std::move(parts)),
      shares_(shares_or_sizes(std::move(shares), parts_)),
      order_(shares_, seed) {
  GALV_CHECK(parts_.size() == shares_.size(), parts_.size(), " parts, ", shares_.size(), " shares");
  for (const BlendPart& part : parts_) {
    GALV_CHECK(part.samples->seq_length() == seq_length(), "samples of ",
               part.samples->seq_length(), " and ", seq_length(), " tokens");
    size_ += part.samples->size();
  }
}

at::Tensor BlendedSamples::fetch(spec::InputKind kind, std::int64_t consumed, Range samples,
                                 Range tokens) const {
  if (samples.empty()) return parts_[0].samples->fetch(kind, 0, {0, 0}, tokens);
  const Range run{consumed + samples.begin, consumed + samples.end};
  // Those of one part follow one another in it: one rectangle of each part, then its rows in order.
  const std::vector<std::int64_t> first = order_.counts(run.begin), behind = order_.counts(run.end);
  std::vector<at::Tensor> blocks;
  std::vector<std::int64_t> begin_of_part;
  std::int64_t rows = 0;
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    const std::int64_t count = behind[part] - first[part];
    begin_of_part.push_back(rows - first[part]);
    rows += count;
    if (count == 0) continue;
    blocks.push_back(parts_[part].samples->fetch(kind, first[part], {0, count}, tokens));
  }
  std::vector<std::int64_t> order;
  for (std::int64_t sample = run.begin; sample < run.end; ++sample) {
    const BlendOrder::Place place = order_.place(sample);
    order.push_back(begin_of_part[place.part] + place.sample);
  }
  return at::cat(blocks).index_select(0, at::tensor(order, at::kLong));
}

double BlendedSamples::num_labels(std::int64_t consumed, std::int64_t count) const {
  const std::vector<std::int64_t> first = order_.counts(consumed),
                                  behind = order_.counts(consumed + count);
  double labels = 0;
  for (std::size_t part = 0; part < parts_.size(); ++part)
    labels += parts_[part].samples->num_labels(first[part], behind[part] - first[part]);
  return labels;
}

std::vector<BlendUse> BlendedSamples::use_of(std::int64_t samples) const {
  const std::vector<std::int64_t> read = order_.counts(samples);
  const double all =
      static_cast<double>(std::accumulate(shares_.begin(), shares_.end(), std::int64_t{0}));
  std::vector<BlendUse> out;
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    out.push_back({parts_[part].name, static_cast<double>(shares_[part]) / all,
                   parts_[part].samples->size(), read[part]});
  }
  return out;
}

}  // namespace galvatron::data
