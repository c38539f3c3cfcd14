#include "overhead/plain_gpt.h"

namespace galvatron::bench {
namespace {

torch::nn::LayerNorm make_norm(const PlainGptShape& shape) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({shape.hidden}).eps(shape.norm_epsilon));
}

}  // namespace

PlainBlockImpl::PlainBlockImpl(const PlainGptShape& shape)
    : heads(shape.heads),
      attention_norm(make_norm(shape)),
      mlp_norm(make_norm(shape)),
      qkv(shape.hidden, 3 * shape.hidden),
      output(shape.hidden, shape.hidden),
      up(shape.hidden, shape.inner),
      down(shape.inner, shape.hidden) {
  register_module("attention_norm", attention_norm);
  register_module("qkv", qkv);
  register_module("output", output);
  register_module("mlp_norm", mlp_norm);
  register_module("up", up);
  register_module("down", down);
}

torch::Tensor PlainBlockImpl::forward(const torch::Tensor& x_BSH) {
  const auto batch = x_BSH.size(0), length = x_BSH.size(1), hidden = x_BSH.size(2);
  const auto split = qkv(attention_norm(x_BSH)).chunk(3, 2);
  const auto to_heads = [&](const torch::Tensor& x) {
    return x.view({batch, length, heads, hidden / heads}).transpose(1, 2);
  };
  const torch::Tensor context = torch::scaled_dot_product_attention(
      to_heads(split[0]), to_heads(split[1]), to_heads(split[2]), {}, 0.0, /*is_causal=*/true);
  const torch::Tensor middle =
      x_BSH + output(context.transpose(1, 2).reshape({batch, length, hidden}));
  return middle + down(torch::gelu(up(mlp_norm(middle)), "tanh"));
}

PlainGptImpl::PlainGptImpl(const PlainGptShape& shape)
    : tokens(shape.vocab_size, shape.hidden),
      positions(shape.max_positions, shape.hidden),
      norm(make_norm(shape)) {
  register_module("tokens", tokens);
  register_module("positions", positions);
  for (std::int64_t i = 0; i < shape.blocks; ++i) {
    blocks.push_back(register_module("block" + std::to_string(i), PlainBlock(shape)));
  }
  register_module("norm", norm);
}

torch::Tensor PlainGptImpl::loss(const torch::Tensor& tokens_BS, const torch::Tensor& labels_BS) {
  torch::Tensor x = tokens(tokens_BS) + positions(torch::arange(tokens_BS.size(1)));
  for (PlainBlock& block : blocks) x = block(x);
  const torch::Tensor logits = torch::linear(norm(x), tokens->weight);
  return torch::cross_entropy_loss(logits.flatten(0, 1), labels_BS.flatten());
}

std::map<std::string, torch::Tensor> PlainGptImpl::by_name() {
  std::map<std::string, torch::Tensor> out = {{"tokens.weight", tokens->weight},
                                              {"embedding.positions.weight", positions->weight},
                                              {"head.norm.weight", norm->weight},
                                              {"head.norm.bias", norm->bias}};
  const auto add = [&](const std::string& name, auto& module) {
    out[name + ".weight"] = module->weight;
    out[name + ".bias"] = module->bias;
  };
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::string prefix = "block." + std::to_string(i) + ".";
    add(prefix + "attention_norm", blocks[i]->attention_norm);
    add(prefix + "attention.qkv", blocks[i]->qkv);
    add(prefix + "attention.output", blocks[i]->output);
    add(prefix + "mlp_norm", blocks[i]->mlp_norm);
    add(prefix + "mlp.up", blocks[i]->up);
    add(prefix + "mlp.down", blocks[i]->down);
  }
  return out;
}

PlainTrainer::PlainTrainer(PlainGpt model, double learning_rate)
    : model_(std::move(model)), learning_rate_(learning_rate) {
  decayed_.weight_decay = 0.1;
  for (const torch::Tensor& value : model_->parameters()) {
    Group& group = value.dim() > 1 ? decayed_ : plain_;
    group.values.push_back(value);
    group.first.push_back(torch::zeros_like(value));
    group.second.push_back(torch::zeros_like(value));
    group.steps.push_back(torch::zeros({}));
  }
}

double PlainTrainer::step(const torch::Tensor& tokens_BS, const torch::Tensor& labels_BS) {
  const double loss = phases.time("forward and backward", [&] {
    model_->zero_grad(/*set_to_none=*/true);
    const torch::Tensor value = model_->loss(tokens_BS, labels_BS);
    value.backward();
    return value.item<double>();
  });
  phases.time("norm", [&] { torch::nn::utils::clip_grad_norm_(model_->parameters(), 1.0); });
  phases.time("update", [&] {
    update(decayed_);
    update(plain_);
  });
  return loss;
}

void PlainTrainer::update(Group& group) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> gradients;
  for (const torch::Tensor& value : group.values) gradients.push_back(value.grad());
  for (torch::Tensor& step : group.steps) step.add_(1);
  at::_fused_adamw_(group.values, gradients, group.first, group.second, {}, group.steps,
                    learning_rate_, 0.9, 0.95, group.weight_decay, 1e-8, /*amsgrad=*/false,
                    /*maximize=*/false);
}

}  // namespace galvatron::bench
