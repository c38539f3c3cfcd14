// GPT-2 and its training loop as one writes them by hand with LibTorch's modules: no parallelism,
// nothing of ours. What the runtime's overhead is measured against.
#pragma once
#include <map>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "overhead/phases.h"

namespace galvatron::bench {

struct PlainGptShape {
  std::int64_t vocab_size = 0, max_positions = 0, hidden = 0, heads = 0, blocks = 0, inner = 0;
  double norm_epsilon = 1e-5;
};

struct PlainBlockImpl : torch::nn::Module {
  explicit PlainBlockImpl(const PlainGptShape& shape);
  torch::Tensor forward(const torch::Tensor& x_BSH);

  std::int64_t heads;
  torch::nn::LayerNorm attention_norm, mlp_norm;
  torch::nn::Linear qkv, output, up, down;
};
TORCH_MODULE(PlainBlock);

struct PlainGptImpl : torch::nn::Module {
  explicit PlainGptImpl(const PlainGptShape& shape);
  // Mean cross entropy; the head's weight is the token embedding's.
  torch::Tensor loss(const torch::Tensor& tokens_BS, const torch::Tensor& labels_BS);
  // By the runtime's parameter names, so that both start from the same values.
  std::map<std::string, torch::Tensor> by_name();

  torch::nn::Embedding tokens, positions;
  std::vector<PlainBlock> blocks;
  torch::nn::LayerNorm norm;
};
TORCH_MODULE(PlainGpt);

// Gradient clipping and fused AdamW; matrices and embeddings decay.
class PlainTrainer {
 public:
  PlainTrainer(PlainGpt model, double learning_rate);
  double step(const torch::Tensor& tokens_BS, const torch::Tensor& labels_BS);

  Phases phases;

 private:
  struct Group {
    std::vector<torch::Tensor> values, first, second, steps;
    double weight_decay = 0;
  };
  void update(Group& group);

  PlainGpt model_;
  double learning_rate_;
  Group decayed_, plain_;
};

}  // namespace galvatron::bench
