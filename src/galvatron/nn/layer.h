// What a layer is to the runtime: a function of parameters and activations, on the ranks of its
// groups.
//
// A layer holds no parameters and no state: the runtime owns, shards and gathers parameters and
// hands the layer its local parts, in the order in which spec declares them. At degree 1 a parallel
// layer is the plain layer.
//
// Shape suffixes: B samples, S tokens at the layer's border (this rank's), T tokens inside the
// tensor-parallel region, L whole sequence, H hidden, N heads, D head size, I intermediate, V
// vocabulary.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/base/partition.h"
#include "galvatron/comm/group.h"
#include "galvatron/nn/documents.h"
#include "galvatron/nn/float8.h"
#include "galvatron/nn/tables.h"

namespace galvatron::nn {

// What the data loader feeds: int64, samples x tokens of the tensor-parallel region. Undefined
// where not needed.
struct Inputs {
  at::Tensor tokens_BT;
  at::Tensor labels_BT;    // kIgnoreLabel does not count
  at::Tensor images_BCHW;  // whole images, in the compute type
  at::Tensor classes_B;
  at::Tensor second_classes_B2;  // SoftTargets::second_M2, of images that are mixed
};

// What the data say of documents. Where they say nothing every sample is one, of tokens 0, 1, ...,
// L - 1.
struct DocumentInputs {
  at::Tensor positions_BL;    // of each token of the sequence within its document; may be undefined
  at::Tensor token_types_BL;  // segments; undefined: all tokens are of the first
  std::shared_ptr<const Documents> of_sequence, of_context;  // may be null
};
inline constexpr std::int64_t kIgnoreLabel = -100;

// How a sequence lies over the ranks of a layer. All its tensor-parallel ranks share
// `block_tokens`.
struct SequenceSplit {
  std::int64_t length = 0;                  // L
  Range tokens;                             // S: this rank's tokens at the border
  Range block_tokens;                       // T: tokens of all tp ranks together
  std::vector<std::int64_t> tp_sizes;       // tokens of each tp rank; sums to T
  std::vector<std::int64_t> ulysses_sizes;  // T of each ulysses rank; sums to L
};

// Where one call of a layer stands in the global batch.
struct LayerCall {
  std::int64_t first_sample =
      0;  // index over the whole run of the first sample here: addresses dropout masks
  std::int64_t num_samples = 0;  // B
  SequenceSplit
      sequence;  // of the first stream that the layer makes; of the head, of the first it gets
  SequenceSplit before;   // of the first stream it gets: another length where it merges patches
  SequenceSplit context;  // of the second stream, where there is one: T5's encoder output
  bool training = true;   // dropout on
  double loss_scale = 1;  // gradients are of this times the loss
  double label_smoothing = 0;  // SoftTargets::smoothing of the loss
  bool logits = false;         // the head returns logits [B, T, V / tp] instead of the loss
  bool scores = false;  // the head returns [sum of losses, labels foretold] instead of the loss
  Inputs inputs;
  DocumentInputs documents;  // of `sequence` and `context`
  Tables* tables = nullptr;  // of the rank; null: none are kept
};

// The ranks that work on a layer with this one. Groups of one cost nothing.
struct LayerGroups {
  comm::Group tp;
  comm::Group ulysses;
};

// What a layer is made with, beside its shape: its groups, what it recomputes, the seed of its
// dropout masks, and how it multiplies.
struct LayerPlacement {
  LayerGroups groups;
  bool recompute_core = false;  // recompute the attention core ("selective")
  std::uint64_t seed = 0;
  LinearPrecision linears = LinearPrecision::kCompute;  // of a block
};

// Streams that travel from layer to layer, each [B, S, features]. Decoder-only models have one.
using Activations = std::vector<at::Tensor>;

class Layer {
 public:
  virtual ~Layer() = default;
  // `params`: this rank's parts. The first layer gets no activations. The last returns the sum of
  // its token losses, a scalar whose gradients are of loss_scale times it, or what the call asks
  // for in its place, equal on all its tp ranks; each of them must run its backward.
  virtual Activations forward(const std::vector<at::Tensor>& params, const Activations& x,
                              const LayerCall& call) const = 0;
};

}  // namespace galvatron::nn
