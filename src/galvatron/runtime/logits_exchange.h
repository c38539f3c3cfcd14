// The way of logits from the ranks of the last layer, each of which has a part of every microbatch,
// to the ranks that ask for whole samples: one all-to-all. Who sends what follows from the plan, so
// nobody has to ask.
#pragma once
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/base/partition.h"
#include "galvatron/comm/world.h"
#include "galvatron/plan/plan.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::runtime {

class LogitsExchange {
 public:
  // `wanted`: samples of the global batch, by rank. Everything must outlive this.
  LogitsExchange(const spec::ModelSpec& model, const plan::Plan& plan, std::int64_t seq_length,
                 const std::vector<Range>& wanted);

  // `mine`: logits of each microbatch, none on ranks without the last layer. Returns [samples,
  // tokens, vocabulary] or [samples, classes] of what this rank wants. Collective.
  at::Tensor bring(const std::vector<at::Tensor>& mine, comm::World& world) const;

 private:
  // What a rank has of a microbatch. An image has one token here.
  struct Box {
    Range samples, tokens, columns;
    std::int64_t numel() const { return samples.size() * tokens.size() * columns.size(); }
  };
  // One for each microbatch; none on ranks without the last layer.
  std::vector<Box> boxes(int rank) const;
  std::int64_t num_tokens() const;
  std::int64_t num_columns() const { return head().vocab_size(); }
  const spec::LayerSpec& head() const { return model_.layers.back(); }
  bool of_images() const { return model_.task == spec::Task::kImageClasses; }
  Range wanted(int rank) const { return wanted_[static_cast<std::size_t>(rank)]; }
  // Elements on their way from one rank to another.
  std::int64_t traffic(int from, int to) const;
  at::Tensor pack(const std::vector<at::Tensor>& mine, const at::TensorOptions& options,
                  int rank) const;
  at::Tensor unpack(const at::Tensor& received, int rank) const;

  const spec::ModelSpec& model_;
  const plan::Plan& plan_;
  std::int64_t seq_length_;
  const std::vector<Range>& wanted_;
};

}  // namespace galvatron::runtime
