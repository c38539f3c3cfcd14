// T5's table of parameters. Initial values are those of transformers' T5PreTrainedModel.
#include <cmath>

#include "galvatron/spec/layer_maker.h"
#include "galvatron/spec/t5_config.h"

namespace galvatron::spec {
namespace {

double inverse_root(std::int64_t size) { return 1 / std::sqrt(static_cast<double>(size)); }

class T5Layers {
 public:
  explicit T5Layers(const T5Config& config)
      : config_(config),
        shape_(config.shape),
        heads_(shape_.num_heads * shape_.head_size),
        stddev_(config.init_factor * inverse_root(shape_.hidden_size)) {}

  LayerSpec encoder_embedding() const {
    LayerMaker maker = make(LayerKind::kEmbedding, "encoder.embedding", shape_of(false));
    maker.takes(InputKind::kTokens);
    maker.makes(encoder_stream());
    add_tokens(maker);
    return maker.take();
  }

  LayerSpec encoder_block(std::int64_t index) const {
    LayerMaker maker =
        make(LayerKind::kBlock, "encoder.block." + std::to_string(index), shape_of(false));
    maker.makes(encoder_stream());
    add_self_attention(maker, "encoder");
    add_mlp(maker);
    return maker.take();
  }

  // Ends the encoder and begins the decoder.
  LayerSpec decoder_embedding() const {
    LayerMaker maker = make(LayerKind::kEmbedding, "decoder.embedding", shape_of(true));
    maker.takes(InputKind::kTargetTokens);
    make_both_streams(maker);
    maker.norm("encoder_norm");
    add_tokens(maker);
    return maker.take();
  }

  LayerSpec decoder_block(std::int64_t index) const {
    LayerMaker maker =
        make(LayerKind::kBlock, "decoder.block." + std::to_string(index), shape_of(true));
    make_both_streams(maker);
    add_self_attention(maker, "decoder");
    add_cross_attention(maker);
    add_mlp(maker);
    return maker.take();
  }

  LayerSpec head() const {
    LayerMaker maker(LayerKind::kHead, "head", shape_of(true), config_.init_factor);
    maker.takes(InputKind::kLabels);
    maker.norm("norm");
    maker.vocabulary("output.weight", config_.vocab_size, config_.tied_output ? kTokens : "");
    return maker.take();
  }

 private:
  static constexpr const char* kTokens = "tokens.weight";

  TransformerShape shape_of(bool decoder) const {
    TransformerShape shape = shape_;
    shape.causal = shape.cross_attention = decoder;
    return shape;
  }
  LayerMaker make(LayerKind kind, const std::string& name, const TransformerShape& shape) const {
    return {kind, name, shape, stddev_};
  }
  StreamSpec encoder_stream() const {
    return {StreamSpec::Length::kSequence, 0, shape_.hidden_size};
  }
  void make_both_streams(LayerMaker& maker) const {
    maker.makes({StreamSpec::Length::kTarget, 0, shape_.hidden_size});
    maker.makes(encoder_stream());
  }

  // The token embedding alone starts with a standard deviation of 1.
  void add_tokens(LayerMaker& maker) const {
    maker.vocabulary(kTokens, config_.vocab_size, kTokens);
    maker.layer().params.back().init.stddev = config_.init_factor;
  }

  void add_self_attention(LayerMaker& maker, const std::string& stack) const {
    maker.norm("attention_norm");
    maker.column_linear("attention.qkv", {heads_, heads_, heads_}, shape_.head_size, false);
    // Queries start smaller instead of a scale of the scores.
    maker.layer().params.back().init.stddev_of_segment = {query_stddev(), stddev_, stddev_};
    ParamSpec bias;
    bias.name = "attention.relative_bias.weight";
    bias.shape = {shape_.relative_bias.num_buckets, shape_.num_heads};
    bias.init = {InitKind::kNormal, stddev_};
    bias.tied_name = stack + ".relative_bias.weight";
    maker.add(std::move(bias));
    add_output(maker, "attention.output");
  }

  void add_cross_attention(LayerMaker& maker) const {
    maker.norm("cross_attention_norm");
    maker.column_linear("cross_attention.query", {heads_}, shape_.head_size, false);
    maker.layer().params.back().init.stddev = query_stddev();
    maker.column_linear("cross_attention.key_value", {heads_, heads_}, shape_.head_size, false);
    add_output(maker, "cross_attention.output");
  }

  void add_output(LayerMaker& maker, const std::string& name) const {
    maker.row_linear(name, heads_, shape_.head_size, false,
                     config_.init_factor * inverse_root(heads_));
  }

  void add_mlp(LayerMaker& maker) const {
    const std::int64_t inner = shape_.intermediate_size;
    maker.norm("mlp_norm");
    if (shape_.gated_mlp) {
      maker.column_linear("mlp.gate_up", {inner, inner}, 1, false);
    } else {
      maker.column_linear("mlp.up", {inner}, 1, false);
    }
    maker.row_linear("mlp.down", inner, 1, false, config_.init_factor * inverse_root(inner));
  }

  double query_stddev() const { return stddev_ * inverse_root(shape_.head_size); }

  const T5Config& config_;
  const TransformerShape& shape_;
  std::int64_t heads_;  // all heads together
  double stddev_;       // of most matrices
};

}  // namespace

std::vector<LayerSpec> t5_layers(const T5Config& config) {
  const T5Layers maker(config);
  std::vector<LayerSpec> layers = {maker.encoder_embedding()};
  for (std::int64_t i = 0; i < config.num_encoder_blocks; ++i)
    layers.push_back(maker.encoder_block(i));
  layers.push_back(maker.decoder_embedding());
  for (std::int64_t i = 0; i < config.num_decoder_blocks; ++i)
    layers.push_back(maker.decoder_block(i));
  layers.push_back(maker.head());
  number_types(layers);
  return layers;
}

}  // namespace galvatron::spec
