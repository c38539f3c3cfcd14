// What a layer's code is told about the sequences and inputs of one call.
#pragma once
#include <functional>

#include "galvatron/nn/layer.h"
#include "galvatron/plan/rank_layout.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::runtime {

// How a sequence of any length lies over the ranks of a layer.
nn::SequenceSplit sequence_split(const plan::RankLayout& layout, int rank, std::int64_t length);

// Fills in the layer's own sequence, what comes in and its context; `split` says how a stream lies
// over the ranks.
void set_sequences(nn::LayerCall& call, const spec::ModelSpec& model, int layer,
                   const std::function<nn::SequenceSplit(const spec::StreamSpec&)>& split);

// What the data say of documents, for a call whose sequences are set. `whole`: of its samples [B,
// length] of this kind, undefined where the data do not say it.
nn::DocumentInputs document_inputs(
    const nn::LayerCall& call,
    const std::function<at::Tensor(spec::InputKind kind, std::int64_t length)>& whole);

// Rows of pixels that an embedding of images needs for its part of the sequence.
Range pixel_rows(const spec::LayerSpec& embedding, const spec::ImageSpec& image,
                 const nn::SequenceSplit& sequence);

// Distinct kinds that the layers take, in their order; answers included.
std::vector<spec::InputKind> input_kinds(const spec::ModelSpec& model);

// What the model shall say, beside what it reads: logits need none.
constexpr bool is_answer(spec::InputKind kind) {
  return kind == spec::InputKind::kLabels || kind == spec::InputKind::kClasses ||
         kind == spec::InputKind::kSecondClasses;
}

// Borders of documents are found by the host; all else goes to the device.
constexpr bool stays_on_host(spec::InputKind kind) {
  return kind == spec::InputKind::kDocuments || kind == spec::InputKind::kTargetDocuments;
}

// Where a layer finds this kind of input.
at::Tensor& input_slot(nn::Inputs& inputs, spec::InputKind kind);

}  // namespace galvatron::runtime
