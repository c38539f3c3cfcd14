// A global batch of which every data-parallel rank of the first layer has read a part, as loaders
// with a distributed sampler do: brought together, so that each rank finds what its layers need.
#pragma once
#include <cstdint>
#include <map>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/comm/world.h"
#include "galvatron/plan/plan.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::train {

// What a rank has read, on any device: [samples, ...], shaped as InputSource::fetch() of the whole
// sequence. Without any entry: nothing. What no layer needs may be there on some ranks alone.
using BatchPart = std::map<spec::InputKind, at::Tensor>;

// Which part of a batch each rank reads: one of the data-parallel ranks of the first layer.
struct BatchParts {
  explicit BatchParts(const plan::Plan& plan) : layout(plan.layout(0)) {}
  int count() const { return layout.dp_degree(); }
  int of(int rank) const { return layout.coordinates(rank).dp_rank; }
  // The rank and those of its stage that read the other parts for it, in the order of the parts.
  plan::RankSet readers(int rank) const;

  plan::RankLayout layout;
};

class GatheredBatch : public runtime::InputSource {
 public:
  // Without `answers` labels and classes are left alone. ConfigError on every rank where ranks of
  // one part have read different samples. Samples that are shorter than those of other ranks are
  // padded. Collective.
  // REQUIRES: World::create_groups() saw the readers() of every rank.
  GatheredBatch(const spec::ModelSpec& model, const plan::Plan& plan, comm::World& world,
                const BatchPart& mine, bool answers);

  // Nobody has read anything; nothing below may be asked for.
  bool empty() const { return num_samples_ == 0; }
  std::int64_t num_samples() const { return num_samples_; }  // that were read, each once
  // Samples, with those that fill up parts of unequal size and teach nothing.
  std::int64_t global_batch() const { return share_ * parts_.count(); }
  std::int64_t seq_length() const { return seq_length_; }
  // Where in the batch the samples are that a rank has read, by rank.
  const std::vector<Range>& places() const { return places_; }

  at::Tensor fetch(spec::InputKind kind, Range samples, Range tokens) override;
  bool says(spec::InputKind kind) const override;
  double num_labels() override { return num_labels_; }

 private:
  struct Header;
  std::vector<Header> exchange_headers(const BatchPart& mine) const;
  void check(const std::vector<Header>& headers) const;
  void gather(const BatchPart& mine, const std::vector<spec::InputKind>& kinds);
  bool pads(const std::vector<Header>& headers) const;
  bool is_of_targets(spec::InputKind kind) const;
  // [samples, ...] of a part, filled up to share_ samples, and samples to the longest of all.
  at::Tensor filled(spec::InputKind kind, const BatchPart& mine) const;

  const spec::ModelSpec& model_;
  comm::World& world_;
  BatchParts parts_;
  std::int64_t share_ = 0, num_samples_ = 0, seq_length_ = 0;
  double num_labels_ = 0;
  std::vector<Range> places_;
  std::map<spec::InputKind, at::Tensor> whole_;
};

}  // namespace galvatron::train
