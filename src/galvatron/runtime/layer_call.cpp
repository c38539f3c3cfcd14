#include "galvatron/runtime/layer_call.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/patches.h"

namespace galvatron::runtime {

nn::SequenceSplit sequence_split(const plan::RankLayout& layout, int rank, std::int64_t length) {
  const plan::LayerStrategy& strategy = layout.strategy();
  const plan::RankCoordinates place = layout.coordinates(rank);
  nn::SequenceSplit split;
  split.length = length;
  split.tokens = layout.token_rect(rank, 1, length).tokens;
  split.block_tokens = layout.block_rect(rank, 1, length).tokens;
  for (int t = 0; t < strategy.tp_degree; ++t) {
    split.tp_sizes.push_back(
        chunk(length, strategy.seq_degree(), place.ulysses_rank * strategy.tp_degree + t).size());
  }
  for (int u = 0; u < strategy.ulysses_degree; ++u) {
    split.ulysses_sizes.push_back(chunk(length, strategy.ulysses_degree, u).size());
  }
  return split;
}

void set_sequences(nn::LayerCall& call, const spec::ModelSpec& model, int layer,
                   const std::function<nn::SequenceSplit(const spec::StreamSpec&)>& split) {
  const std::vector<spec::StreamSpec>& in = model.inputs_of(layer);
  const std::vector<spec::StreamSpec>& out = model.layer(layer).outputs;
  call.sequence = split(model.streams_of(layer)[0]);
  if (!in.empty()) call.before = split(in[0]);
  const std::vector<spec::StreamSpec>& both = out.size() > 1 ? out : in;
  if (both.size() > 1) call.context = split(both[1]);
}

nn::DocumentInputs document_inputs(
    const nn::LayerCall& call,
    const std::function<at::Tensor(spec::InputKind kind, std::int64_t length)>& whole) {
  using spec::InputKind;
  const auto documents = [&](InputKind kind, std::int64_t length) {
    const at::Tensor ids = whole(kind, length);
    return ids.defined() ? std::make_shared<const nn::Documents>(nn::documents_from_ids(ids.cpu()))
                         : nullptr;
  };
  const std::int64_t length = call.sequence.length, context = call.context.length;
  nn::DocumentInputs out;
  out.positions_BL = whole(InputKind::kPositions, length);
  out.token_types_BL = whole(InputKind::kTokenTypes, length);
  out.of_sequence =
      documents(context > 0 ? InputKind::kTargetDocuments : InputKind::kDocuments, length);
  if (context > 0) out.of_context = documents(InputKind::kDocuments, context);
  return out;
}

// Tokens without a patch stand in front.
Range pixel_rows(const spec::LayerSpec& embedding, const spec::ImageSpec& image,
                 const nn::SequenceSplit& sequence) {
  const spec::WindowSpec& patches = embedding.shape.window;
  const auto weight = std::ranges::find(embedding.params, "patches.weight", &spec::ParamSpec::name);
  GALV_CHECK(weight != embedding.params.end(), embedding.name, " embeds no images");
  const nn::PatchGrid grid{patches.height, patches.width, weight->shape[2], weight->shape[3]};
  const std::int64_t in_front = sequence.length - grid.rows * grid.columns;
  const Range tokens = sequence.tokens;
  return intersect(nn::pixel_rows(grid, {std::max(tokens.begin, in_front) - in_front,
                                         std::max(tokens.end, in_front) - in_front}),
                   {0, image.height});
}

std::vector<spec::InputKind> input_kinds(const spec::ModelSpec& model) {
  std::vector<spec::InputKind> out;
  for (const spec::LayerSpec& layer : model.layers) {
    for (const spec::InputKind kind : layer.inputs) {
      if (std::find(out.begin(), out.end(), kind) == out.end()) out.push_back(kind);
    }
  }
  return out;
}

at::Tensor& input_slot(nn::Inputs& inputs, spec::InputKind kind) {
  switch (kind) {
    case spec::InputKind::kTokens:
    case spec::InputKind::kTargetTokens:
      return inputs.tokens_BT;
    case spec::InputKind::kLabels:
      return inputs.labels_BT;
    case spec::InputKind::kImages:
      return inputs.images_BCHW;
    case spec::InputKind::kClasses:
      return inputs.classes_B;
    case spec::InputKind::kSecondClasses:
      return inputs.second_classes_B2;
    case spec::InputKind::kDocuments:
    case spec::InputKind::kTargetDocuments:
    case spec::InputKind::kPositions:
    case spec::InputKind::kTokenTypes:
      break;  // document_inputs()
  }
  GALV_CHECK(false, "unknown kind of input");
}

}  // namespace galvatron::runtime
