// Fills a layer with the parameters that all families are made of. Linear weights are [out, in].
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {

class LayerMaker {
 public:
  // `stddev`: of the initial weights, where a call says nothing else.
  LayerMaker(LayerKind kind, std::string name, const TransformerShape& shape, double stddev);

  // A weight that leaves the normed alone, and with layer norm a bias of zeros. `width` 0: the
  // hidden size.
  void norm(const std::string& name, std::int64_t width = 0);

  // hidden_size -> the sum of `segments`. Tensor parallelism divides the outputs, segment by
  // segment, in whole units.
  void column_linear(const std::string& name, const std::vector<std::int64_t>& segments,
                     std::int64_t unit, bool bias);
  // inputs -> hidden_size. Tensor parallelism divides the inputs; the bias is added once, after the
  // sum.
  void row_linear(const std::string& name, std::int64_t inputs, std::int64_t unit, bool bias,
                  double stddev);
  // Whole on every rank, which works on its own tokens.
  void whole_linear(const std::string& name, std::int64_t outputs, std::int64_t inputs, bool bias);

  // [rows, hidden_size], rows divided: a vocabulary or the classes. Not empty `tied_name`: one
  // parameter with every other of that name.
  void vocabulary(const std::string& name, std::int64_t rows, const std::string& tied_name = "");
  // [rows], divided as the vocabulary is.
  void vocabulary_bias(const std::string& name, std::int64_t rows);
  // [rows, hidden_size], whole: positions, token types.
  void table(const std::string& name, std::int64_t rows);
  // Attention, MLP and their norms, as the shape says; `residual_stddev` is of the projections that
  // write to the residual stream.
  void transformer_block(double residual_stddev);
  // Any other parameter.
  void add(ParamSpec param) { layer_.params.push_back(std::move(param)); }

  void takes(InputKind input) { layer_.inputs.push_back(input); }
  void makes(StreamSpec stream) { layer_.outputs.push_back(stream); }
  LayerSpec& layer() { return layer_; }
  LayerSpec take() { return std::move(layer_); }

 private:
  Init normal() const { return {InitKind::kNormal, stddev_}; }
  void attention(double residual_stddev);
  void mlp(double residual_stddev);
  void head_norms();
  // Those of the branch "attention" or "mlp", before and behind it.
  void norms_before(const std::string& branch);
  void norms_behind(const std::string& branch);
  void zero_bias(const std::string& name, std::int64_t size, const TensorSplit& split);

  LayerSpec layer_;
  double stddev_;
};

// Layers that are equal but for their name get the same LayerSpec::type, in order of appearance.
void number_types(std::vector<LayerSpec>& layers);

}  // namespace galvatron::spec
