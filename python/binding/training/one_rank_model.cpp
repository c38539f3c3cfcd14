#include "one_rank_model.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/registry.h"
#include "galvatron/models/safetensors.h"
#include "galvatron/runtime/layer_call.h"
#include "galvatron/runtime/param_unit.h"
#include "galvatron/train/weights.h"
#include "galvatron/train/weights_reading.h"

namespace galvatron::binding {
namespace {

// Rows of one stretch of memory, one tensor after the other.
bool side_by_side(at::TensorList parts) {
  const at::Tensor& first = parts[0];
  std::int64_t offset = first.storage_offset();
  for (const at::Tensor& part : parts) {
    if (!part.is_contiguous() || !part.is_alias_of(first) || part.storage_offset() != offset)
      return false;
    offset += part.numel();
  }
  return true;
}

// Concatenation along dimension 0 of tensors that lie side by side: nothing is copied, and the
// gradient is handed out in slices.
struct JoinRows : torch::autograd::Function<JoinRows> {
  static at::Tensor forward(torch::autograd::AutogradContext* ctx, at::TensorList parts) {
    std::vector<std::int64_t> sizes, shape = parts[0].sizes().vec();
    for (const at::Tensor& part : parts) sizes.push_back(part.size(0));
    shape[0] = 0;
    for (const std::int64_t size : sizes) shape[0] += size;
    ctx->saved_data["sizes"] = sizes;
    at::Tensor whole = at::empty({0}, parts[0].options());
    whole.set_(parts[0].storage(), parts[0].storage_offset(), shape, parts[0].strides());
    // A write to a part between forward and backward is noticed, as torch does for its own views.
    torch::autograd::impl::set_version_counter(whole,
                                               torch::autograd::impl::version_counter(parts[0]));
    return whole;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list grads) {
    const std::vector<std::int64_t> sizes = ctx->saved_data["sizes"].toIntVector();
    if (!grads[0].defined()) return torch::autograd::variable_list(sizes.size());
    return grads[0].split_with_sizes(sizes, 0);
  }
};

at::Tensor join(const std::vector<at::Tensor>& parts, std::int64_t dim) {
  if (parts.size() == 1) return parts[0];
  if (dim == 0 && side_by_side(parts)) return JoinRows::apply(at::TensorList(parts));
  return at::cat(parts, dim);
}

std::int64_t split_dim(const spec::ParamSpec& param) { return std::max(param.split.dim, 0); }

// Names under which transformers lists the same tensor again, without those of the bare model.
std::vector<std::string> other_names(const models::HfTensor& tensor) {
  std::vector<std::string> out;
  for (const std::string& name : tensor.names) {
    if (!tensor.names[0].ends_with(name)) out.push_back(name);
  }
  return out;
}

const char* input_name(spec::InputKind kind) {
  switch (kind) {
    case spec::InputKind::kTokens:
      return "input_ids";
    case spec::InputKind::kTargetTokens:
      return "decoder_input_ids";
    case spec::InputKind::kLabels:
      return "labels";
    case spec::InputKind::kImages:
      return "pixel_values";
    case spec::InputKind::kClasses:
      return "labels";
    case spec::InputKind::kDocuments:
      return "attention_mask";
    case spec::InputKind::kTargetDocuments:
      return "decoder_attention_mask";
    case spec::InputKind::kPositions:
      return "position_ids";
    case spec::InputKind::kTokenTypes:
      return "token_type_ids";
    case spec::InputKind::kSecondClasses:
      break;  // which files alone have
  }
  return "";
}

const at::Tensor& input(const ModelInputs& inputs, spec::InputKind kind) {
  const auto found = inputs.find(kind);
  if (found == inputs.end()) throw ConfigError("[model] ", input_name(kind), " is missing");
  return found->second;
}

std::int64_t stream_length(const spec::StreamSpec& stream, const ModelInputs& inputs) {
  switch (stream.length_kind) {
    case spec::StreamSpec::Length::kSequence:
      return input(inputs, spec::InputKind::kTokens).size(1);
    case spec::StreamSpec::Length::kTarget:
      return input(inputs, spec::InputKind::kTargetTokens).size(1);
    case spec::StreamSpec::Length::kFixed:
      return stream.fixed_length;
  }
  return 0;
}

}  // namespace

OneRankModel::OneRankModel(spec::ModelSpec model, std::uint64_t seed)
    : model_(std::move(model)), seed_(seed) {
  for (int i = 0; i < model_.num_layers(); ++i) add_layer(i);
}

void OneRankModel::add_layer(int layer) {
  const spec::LayerSpec& spec = model_.layer(layer);
  std::vector<std::size_t>& indices = layer_parameters_.emplace_back();
  for (const spec::ParamSpec& param : spec.params) {
    const auto same = [&](const Parameter& other) {
      return model_.layer(other.layer).full_name(*other.spec) == spec.full_name(param);
    };
    const auto found = std::find_if(parameters_.begin(), parameters_.end(), same);
    indices.push_back(static_cast<std::size_t>(found - parameters_.begin()));
    if (found != parameters_.end()) continue;
    const std::size_t first =
        parameters_.empty() ? 0 : parameters_.back().first + parameters_.back().tensors.size();
    parameters_.push_back({layer, &param, models::hf_tensors(model_, layer, param), first});
  }
  layers_.push_back(models::make_layer(model_, layer, {{}, /*recompute_core=*/false, seed_}));
}

// A unit of one parameter draws it as the runtime does.
at::Tensor OneRankModel::first_value(const Parameter& parameter, at::ScalarType dtype,
                                     c10::Device device) const {
  const spec::ParamSpec& spec = *parameter.spec;
  if (device.is_meta())
    return at::empty(spec.shape, at::TensorOptions().dtype(dtype).device(device));
  runtime::UnitOptions options;
  options.state_type = dtype == at::kDouble ? at::kDouble : at::kFloat;
  options.compute_type = options.state_type;
  const std::string name = model_.layer(parameter.layer).full_name(spec);
  runtime::ParamUnit unit(
      options, {{&spec, name, spec::local_ranges(spec, 1, 0), spec.shape, 0, spec.numel()}});
  unit.initialise(seed_);
  return unit.slot_view(unit.master(), 0)
      .to(at::TensorOptions().dtype(dtype).device(device), false, /*copy=*/true);
}

std::vector<NamedTensor> OneRankModel::make_parameters(at::ScalarType dtype,
                                                       c10::Device device) const {
  const at::NoGradGuard no_grad;
  std::vector<NamedTensor> out;
  for (const Parameter& parameter : parameters_) {
    const at::Tensor whole = first_value(parameter, dtype, device);
    for (const models::HfTensor& tensor : parameter.tensors) {
      out.push_back(
          {tensor.names[0], other_names(tensor), models::to_hf(tensor, *parameter.spec, whole)});
    }
  }
  return out;
}

std::vector<bool> OneRankModel::decays() const {
  std::vector<bool> out;
  for (const Parameter& parameter : parameters_)
    out.insert(out.end(), parameter.tensors.size(), parameter.spec->weight_decay);
  return out;
}

std::string OneRankModel::load(const std::vector<at::Tensor>& parameters,
                               const std::filesystem::path& folder) const {
  const at::NoGradGuard no_grad;
  const std::vector<std::string> is_new = train::check_weights(model_, folder);
  const train::StoredWeights reader(model_, folder);
  for (const Parameter& parameter : parameters_) {
    for (std::size_t i = 0; i < parameter.tensors.size(); ++i) {
      const std::vector<std::string>& names = parameter.tensors[i].names;
      if (std::find(is_new.begin(), is_new.end(), names[0]) != is_new.end()) continue;
      const auto stored = std::find_if(names.begin(), names.end(),
                                       [&](const auto& name) { return reader.find(name); });
      at::Tensor target = parameters.at(parameter.first + i);
      target.copy_(reader.view(*stored));
    }
  }
  const std::string new_head = train::new_head_note(is_new, folder);
  const std::string left_out = train::left_out_note(model_, folder);
  return new_head + (new_head.empty() || left_out.empty() ? "" : "; ") + left_out;
}

void OneRankModel::save(const std::vector<at::Tensor>& parameters,
                        const std::filesystem::path& folder,
                        const std::filesystem::path& tokenizer) const {
  std::map<std::string, at::Tensor> by_name;
  for (const Parameter& parameter : parameters_) {
    for (std::size_t i = 0; i < parameter.tensors.size(); ++i) {
      by_name[parameter.tensors[i].names[0]] = parameters.at(parameter.first + i);
    }
  }
  train::ExportOptions options;
  options.dtype = parameters.at(0).scalar_type();
  options.tokenizer = tokenizer;
  train::save_weights(
      model_, [&](const std::string& name) { return by_name.at(name); }, folder, options);
}

std::vector<at::Tensor> OneRankModel::join_parameters(
    const std::vector<at::Tensor>& parameters) const {
  std::vector<at::Tensor> out;
  for (const Parameter& parameter : parameters_) {
    std::vector<at::Tensor> parts;
    for (std::size_t i = 0; i < parameter.tensors.size(); ++i) {
      parts.push_back(models::from_hf(parameter.tensors[i], parameters.at(parameter.first + i)));
    }
    out.push_back(join(parts, split_dim(*parameter.spec)));
  }
  return out;
}

nn::LayerCall OneRankModel::make_call(int layer, const ModelInputs& inputs,
                                      std::int64_t first_sample, bool training) const {
  const spec::LayerSpec& spec = model_.layer(layer);
  nn::LayerCall call;
  call.first_sample = first_sample;
  call.num_samples = inputs.begin()->second.size(0);
  runtime::set_sequences(call, model_, layer, [&](const spec::StreamSpec& stream) {
    return runtime::sequence_split({{}, 1}, 0, stream_length(stream, inputs));
  });
  call.training = training;
  call.logits = spec.outputs.empty();
  for (const spec::InputKind kind : spec.inputs) {
    if (runtime::is_answer(kind)) continue;  // logits need none
    runtime::input_slot(call.inputs, kind) = input(inputs, kind);
  }
  call.documents = runtime::document_inputs(call, [&](spec::InputKind kind, std::int64_t) {
    const auto said = inputs.find(kind);
    return said == inputs.end() ? at::Tensor() : said->second;
  });
  return call;
}

at::Tensor OneRankModel::logits(const std::vector<at::Tensor>& parameters,
                                const ModelInputs& inputs, std::int64_t first_sample,
                                bool training) const {
  if (inputs.empty())
    throw ConfigError("[model] ", input_name(runtime::input_kinds(model_).at(0)), " is missing");
  const std::vector<at::Tensor> whole = join_parameters(parameters);
  nn::Activations x;
  for (int i = 0; i < model_.num_layers(); ++i) {
    std::vector<at::Tensor> own;
    for (const std::size_t index : layer_parameters_[static_cast<std::size_t>(i)])
      own.push_back(whole[index]);
    x = layers_[static_cast<std::size_t>(i)]->forward(own, x,
                                                      make_call(i, inputs, first_sample, training));
  }
  return x.at(0);
}

}  // namespace galvatron::binding
