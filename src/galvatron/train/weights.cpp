#include "galvatron/train/weights.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/hf_weights.h"
#include "galvatron/models/safetensors.h"
#include "galvatron/plan/rank_layout.h"
#include "galvatron/train/weights_reading.h"

namespace galvatron::train {
namespace {

using models::HfTensor;
using models::TensorInfo;

constexpr std::size_t kMaxListed = 8;
constexpr int kTag = 0;

// Differences between a checkpoint and a model, gathered to be told at once.
class Differences {
 public:
  void add(const std::string& kind, const std::string& what) { found_[kind].push_back(what); }

  void raise(const StoredWeights& reader, const spec::ModelSpec& model) const {
    if (found_.empty()) return;
    std::string text;
    for (const auto& [kind, items] : found_) {
      const auto end =
          items.begin() + static_cast<std::ptrdiff_t>(std::min(items.size(), kMaxListed));
      text += fmt::format("{}{} {}: {}", text.empty() ? "" : "; ", items.size(), kind,
                          fmt::join(items.begin(), end, ", "));
      if (items.size() > kMaxListed) text += fmt::format(" and {} more", items.size() - kMaxListed);
    }
    throw ConfigError("[weights] ", reader.path().string(), " does not fit model '", model.name,
                      "': ", text);
  }

 private:
  std::map<std::string, std::vector<std::string>> found_;
};

// The first of its names under which there is one; empty: there is none.
std::string first_name(const StoredWeights& reader, const HfTensor& tensor) {
  for (const std::string& name : tensor.names) {
    if (reader.find(name)) return name;
  }
  return "";
}

const TensorInfo* find_first(const StoredWeights& reader, const HfTensor& tensor) {
  return reader.find(first_name(reader, tensor));
}

bool is_weight_type(at::ScalarType dtype) {
  return dtype == at::kDouble || dtype == at::kFloat || dtype == at::kBFloat16 ||
         dtype == at::kHalf;
}

// Two names of one parameter must not stand for different values.
void check_copies(const StoredWeights& reader, const HfTensor& tensor, const TensorInfo& first,
                  Differences& differences) {
  for (const std::string& name : tensor.names) {
    const TensorInfo* info = reader.find(name);
    if (info == nullptr || info == &first) continue;
    const bool same = info->dtype == first.dtype && info->shape == first.shape &&
                      at::equal(reader.view(name), reader.view(first_name(reader, tensor)));
    if (!same) {
      differences.add("unlike its copy",
                      name + " (the model ties it to " + first.name +
                          "; with tie_word_embeddings false in its config it has both)");
    }
  }
}

std::string missing_text(const StoredWeights& reader, const std::string& name) {
  const std::string shard = reader.promised_shard(name);
  if (shard.empty()) return name;
  return fmt::format("{} (the index says that it is in {}, which does not hold it)", name, shard);
}

// Where only the number of tokens is another one.
std::string vocabulary_hint(const TensorInfo& info, const HfTensor& tensor,
                            const spec::ModelSpec& model) {
  const bool same_rest = info.shape.size() == tensor.shape.size() &&
                         std::equal(info.shape.begin() + 1, info.shape.end(),
                                    tensor.shape.begin() + 1, tensor.shape.end());
  if (!same_rest || model.vocab_size == 0 || tensor.shape[0] != model.vocab_size) return "";
  return fmt::format("; --vocab-size {} takes them as they are", info.shape[0]);
}

void check_tensor(const StoredWeights& reader, const HfTensor& tensor, const spec::ModelSpec& model,
                  Differences& differences) {
  const TensorInfo* info = find_first(reader, tensor);
  if (info == nullptr) {
    differences.add("missing", missing_text(reader, tensor.names[0]));
  } else if (info->shape != tensor.shape) {
    differences.add(
        "of a wrong shape",
        fmt::format("{} (is {}, must be {}{})", info->name, models::shape_text(info->shape),
                    models::shape_text(tensor.shape), vocabulary_hint(*info, tensor, model)));
  } else if (!is_weight_type(info->dtype)) {
    differences.add("of a wrong type", fmt::format("{} (is {}, must be F64, F32, BF16 or F16)",
                                                   info->name, models::dtype_name(info->dtype)));
  } else {
    check_copies(reader, tensor, *info, differences);
  }
}

// The part of a model that belongs to its task: what tensors of a backbone do not have, whose names
// begin like no other.
bool is_task_head(const HfTensor& tensor) {
  static constexpr std::array<std::string_view, 7> kHeads = {
      "classifier.",      "lm_head.",          "embed_out.",      "cls.predictions.",
      "vocab_transform.", "vocab_layer_norm.", "vocab_projector."};
  return std::any_of(kHeads.begin(), kHeads.end(),
                     [&](std::string_view head) { return tensor.names[0].starts_with(head); });
}

// Is it there, but of another number of classes?
bool has_other_classes(const TensorInfo& info, const HfTensor& tensor) {
  return tensor.names[0].starts_with("classifier.") && info.shape.size() == tensor.shape.size() &&
         info.shape[0] != tensor.shape[0] &&
         std::equal(info.shape.begin() + 1, info.shape.end(), tensor.shape.begin() + 1);
}

// All tensors of a model, tied ones once.
std::vector<HfTensor> all_tensors(const spec::ModelSpec& model) {
  std::vector<HfTensor> out;
  std::set<std::string> done;
  for (int i = 0; i < model.num_layers(); ++i) {
    const spec::LayerSpec& layer = model.layer(i);
    for (const spec::ParamSpec& param : layer.params) {
      if (!done.insert(layer.full_name(param)).second) continue;
      for (HfTensor& tensor : models::hf_tensors(model, i, param)) out.push_back(std::move(tensor));
    }
  }
  return out;
}

// Of a task that the weights are not of: all of its head, or none of it.
std::set<std::string> new_tensors(const std::vector<HfTensor>& tensors,
                                  const StoredWeights& reader) {
  std::set<std::string> out;
  for (const HfTensor& tensor : tensors) {
    if (!is_task_head(tensor)) continue;
    const TensorInfo* info = find_first(reader, tensor);
    if (info && !has_other_classes(*info, tensor)) return {};
    out.insert(tensor.names[0]);
  }
  return out;
}

std::set<std::string> names_of(const std::vector<HfTensor>& tensors) {
  std::set<std::string> out;
  for (const HfTensor& tensor : tensors) out.insert(tensor.names.begin(), tensor.names.end());
  return out;
}

std::string first_part(const std::string& name) { return name.substr(0, name.find('.')); }

std::string without_wrappers(const std::string& name) {
  static constexpr std::array<std::string_view, 4> kAnywhere = {
      "_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_forward_module."};
  constexpr std::string_view kLeading = "module.";
  std::string out = name;
  for (const std::string_view wrapper : kAnywhere) {
    for (std::size_t at = out.find(wrapper); at != std::string::npos; at = out.find(wrapper))
      out.erase(at, wrapper.size());
  }
  while (out.starts_with(kLeading)) out.erase(0, kLeading.size());
  return out;
}

// What a larger model has before the names of this one: "language_model." of one that sees pictures
// too, "model." of one that a trainer holds. Empty where there is no such thing.
std::string outer_prefix(const std::vector<HfTensor>& tensors, const StoredWeights& reader) {
  std::map<std::string, std::size_t> counts;
  const std::vector<std::string> stored = reader.names();
  std::size_t wanted = 0;
  for (const HfTensor& tensor : tensors) {
    if (is_task_head(tensor)) continue;
    if (find_first(reader, tensor) != nullptr) return "";
    ++wanted;
    std::set<std::string> seen;
    for (const std::string& name : tensor.names) {
      const std::string end = "." + name;
      for (const std::string& candidate : stored) {
        if (candidate.ends_with(end))
          seen.insert(candidate.substr(0, candidate.size() - name.size()));
      }
    }
    for (const std::string& prefix : seen) ++counts[prefix];
    if (counts.empty()) return "";  // not one has it: no need to look at all
  }
  std::string best;
  for (const auto& [prefix, count] : counts) {
    if (count == wanted && (best.empty() || prefix.size() < best.size())) best = prefix;
  }
  return best;
}

std::set<std::string> check_weights(const spec::ModelSpec& model, const StoredWeights& reader) {
  const std::vector<HfTensor> tensors = all_tensors(model);
  // A T5 without its output is no backbone: its config says that it has one of its own.
  const bool may_be_backbone = model.family != spec::Family::kT5;
  const std::set<std::string> is_new =
      may_be_backbone ? new_tensors(tensors, reader) : std::set<std::string>();
  Differences differences;
  for (const HfTensor& tensor : tensors) {
    if (!is_new.contains(tensor.names[0])) check_tensor(reader, tensor, model, differences);
  }
  const std::set<std::string> expected = names_of(tensors);
  for (const std::string& name : reader.names()) {
    if (!expected.contains(name) && !models::is_hf_buffer(name))
      differences.add("unexpected", name);
  }
  differences.raise(reader, model);
  return is_new;
}

// Rows (of dimension 0 of the local part) that hold elements which this rank owns.
Range owned_rows(const runtime::ParamUnit& unit, const runtime::ParamSlot& slot) {
  const Range flat = intersect({slot.offset, slot.offset + slot.numel}, unit.owned());
  if (flat.empty()) return {};
  const std::int64_t row = slot.numel / slot.shape[0];
  return {(flat.begin - slot.offset) / row, (flat.end - slot.offset + row - 1) / row};
}

// Copies what `source` (our orientation, elements `range` of the split dimension) has of the given
// rows into the local part.
void copy_rows(const at::Tensor& source, Range range, const runtime::ParamSlot& slot, Range rows,
               at::Tensor& local) {
  const int dim = std::max(slot.spec->split.dim, 0);
  std::int64_t held_before = 0;
  for (const Range& held : slot.ranges) {
    const std::int64_t shift = held_before - held.begin;  // local index = global index + shift
    held_before += held.size();
    const Range global = intersect(held, range);
    Range target{global.begin + shift, global.end + shift};
    if (dim == 0) target = intersect(target, rows);
    if (target.empty()) continue;
    at::Tensor from = source.narrow(dim, target.begin - shift - range.begin, target.size());
    at::Tensor to = local.narrow(dim, target.begin, target.size());
    if (dim > 0) {
      from = from.narrow(0, rows.begin, rows.size());
      to = to.narrow(0, rows.begin, rows.size());
    }
    to.copy_(from);
  }
}

// `stored`: what there is of each tensor. `owned`: of the unit, as ParamUnit::master().
void load_parameter(const std::function<at::Tensor(const HfTensor&)>& stored,
                    const std::vector<HfTensor>& tensors, runtime::ParamUnit& unit, int slot_index,
                    at::Tensor owned) {
  const runtime::ParamSlot& slot = unit.slots()[static_cast<std::size_t>(slot_index)];
  const Range rows = owned_rows(unit, slot);
  if (rows.empty()) return;
  // Not filled beyond the owned rows, and never read there.
  at::Tensor local = at::empty(slot.shape, at::TensorOptions().dtype(unit.master().scalar_type()));
  for (const HfTensor& tensor : tensors) {
    copy_rows(models::from_hf(tensor, stored(tensor)), tensor.range, slot, rows, local);
  }
  unit.assign(slot_index, local, owned);
}

// Calls `visit(handle, tensors)` for every parameter of the rank, tied ones once.
template <typename Visit>
void for_each_own_parameter(runtime::Engine& engine, const Visit& visit) {
  std::set<std::pair<runtime::ParamUnit*, int>> done;
  for (const runtime::ParamHandle& handle : engine.parameters()) {
    if (!done.insert({handle.unit, handle.slot}).second) continue;
    visit(handle, models::hf_tensors(engine.model(), handle.layer, *handle.spec));
  }
}

// Of the pipeline rank that holds the parameter, the ranks whose parts make it whole: one for each
// tp rank.
std::vector<int> part_holders(const plan::Plan& plan, int layer, const spec::ParamSpec& param) {
  const int pp_rank = plan.pipeline.pp_rank_of_stage(plan.stage_of_layer(layer));
  const int first = plan.stage_ranks(pp_rank).front();
  if (!param.split.divided()) return {first};
  return plan.layout(layer).tp_ranks(first);
}

runtime::ParamSlot slot_of_part(const spec::ParamSpec& param, int num_parts, int part) {
  return {&param,
          param.name,
          spec::local_ranges(param, num_parts, part),
          spec::local_shape(param, num_parts, part),
          0,
          spec::local_numel(param, num_parts, part)};
}

// One rank's side of bringing parameters to rank 0.
class WholeParameters {
 public:
  WholeParameters(runtime::Engine& engine, const OwnedTensor& owned)
      : engine_(engine), owned_(owned), all_(engine.world().all()) {
    for (const runtime::ParamHandle& handle : engine.parameters()) {
      handles_[{handle.layer, handle.spec->name}] = handle;
    }
  }

  // The whole parameter on rank 0, nothing elsewhere.
  at::Tensor bring(int layer, const spec::ParamSpec& param) {
    const at::Tensor mine = local_part(layer, param);
    const std::vector<int> holders = part_holders(engine_.plan(), layer, param);
    const int rank = engine_.world().rank();
    const bool holds = std::find(holders.begin(), holders.end(), rank) != holders.end();
    if (rank != 0) {
      if (holds && mine.numel() > 0) all_.send(mine.contiguous(), 0, kTag).wait();
      return {};
    }
    const auto num_parts = static_cast<int>(holders.size());
    at::Tensor whole;
    for (int part = 0; part < num_parts; ++part) {
      const runtime::ParamSlot slot = slot_of_part(param, num_parts, part);
      const int holder = holders[static_cast<std::size_t>(part)];
      const at::Tensor local = holder == 0 ? mine : receive(slot, holder);
      if (!whole.defined()) whole = at::empty(param.shape, local.options().device(at::kCPU));
      if (slot.numel > 0) runtime::copy_into_global(slot, local, whole);
    }
    return whole;
  }

 private:
  // This rank's part, gathered over its replicas; undefined on others. All ranks of a stage
  // ask for the same parameters in the same order.
  at::Tensor local_part(int layer, const spec::ParamSpec& param) {
    const auto it = handles_.find({layer, param.name});
    if (it == handles_.end()) return {};
    runtime::ParamUnit& unit = *it->second.unit;
    if (layer != layer_) flats_.clear();
    layer_ = layer;
    at::Tensor& flat = flats_[&unit];
    if (!flat.defined()) flat = unit.gather_owned(owned_(unit));
    return unit.slot_view(flat, it->second.slot);
  }

  at::Tensor receive(const runtime::ParamSlot& slot, int from) {
    const at::ScalarType dtype = engine_.units().front()->master().scalar_type();
    at::Tensor local =
        at::empty(slot.shape, at::TensorOptions().dtype(dtype).device(engine_.world().device()));
    if (slot.numel > 0) all_.receive(local, from, kTag).wait();
    return local;
  }

  runtime::Engine& engine_;
  const OwnedTensor& owned_;
  comm::Group all_;
  std::map<std::pair<int, std::string>, runtime::ParamHandle> handles_;
  int layer_ = -1;
  std::map<runtime::ParamUnit*, at::Tensor> flats_;  // of layer_
};

}  // namespace

StoredWeights::StoredWeights(const spec::ModelSpec& model, const std::filesystem::path& path)
    : reader_(path) {
  for (const std::string& name : reader_.names()) stored_names_.emplace(name, name);
  rename(without_wrappers);
  const std::vector<HfTensor> tensors = all_tensors(model);
  const std::set<std::string> expected = names_of(tensors);
  const std::string prefix = outer_prefix(tensors, *this);
  std::set<std::string> modules;
  for (const std::string& name : expected) modules.insert(first_part(name));
  const auto is_foreign = [&](const std::string& name) {
    if (expected.contains(name) || models::is_hf_buffer(name)) return false;
    return prefix.empty() ? !modules.contains(first_part(name)) : !name.starts_with(prefix);
  };
  for (const std::string& name : names()) {
    if (!is_foreign(name)) continue;
    left_out_.push_back(name);
    stored_names_.erase(name);
  }
  prefix_ = prefix;
  rename([&](const std::string& name) {
    return !prefix.empty() && name.starts_with(prefix) ? name.substr(prefix.size()) : name;
  });
}

void StoredWeights::rename(const std::function<std::string(const std::string&)>& renamed) {
  std::map<std::string, std::string> out;
  for (const auto& [name, stored] : stored_names_) {
    if (!out.emplace(renamed(name), stored).second) {
      throw ConfigError("[weights] ", path().string(), ": '", stored,
                        "' and another tensor both are '", renamed(name), "'");
    }
  }
  stored_names_ = std::move(out);
}

std::vector<std::string> StoredWeights::names() const {
  std::vector<std::string> out;
  for (const auto& [name, stored] : stored_names_) out.push_back(name);
  return out;
}

const TensorInfo* StoredWeights::find(const std::string& name) const {
  const auto it = stored_names_.find(name);
  return it == stored_names_.end() ? nullptr : reader_.find(it->second);
}

at::Tensor StoredWeights::view(const std::string& name) const {
  return reader_.view(stored_names_.at(name));
}

std::string StoredWeights::promised_shard(const std::string& name) const {
  return reader_.promised_shard(prefix_ + name);
}

std::string left_out_note(const spec::ModelSpec& model, const std::filesystem::path& path) {
  const StoredWeights weights(model, path);
  std::set<std::string> modules;
  for (const std::string& name : weights.left_out())
    modules.insert(name.substr(0, name.find('.', first_part(name).size() + 1)));
  if (modules.empty()) return "";
  return fmt::format("{} has {} tensors that this model does not: {} left out", path.string(),
                     weights.left_out().size(), fmt::join(modules, ", "));
}

std::vector<std::string> check_weights(const spec::ModelSpec& model,
                                       const std::filesystem::path& path) {
  const std::set<std::string> is_new = check_weights(model, StoredWeights(model, path));
  return {is_new.begin(), is_new.end()};
}

std::string new_head_note(const std::vector<std::string>& names,
                          const std::filesystem::path& path) {
  if (names.empty()) return "";
  return fmt::format("{} has no head of this task: {} begin with random values", path.string(),
                     fmt::join(names, ", "));
}

std::vector<std::string> load_weights(runtime::Engine& engine, const std::filesystem::path& path) {
  const at::NoGradGuard no_grad;
  const StoredWeights reader(engine.model(), path);
  const std::set<std::string> is_new = check_weights(engine.model(), reader);
  const auto stored = [&](const HfTensor& tensor) {
    return reader.view(first_name(reader, tensor));
  };
  for_each_own_parameter(
      engine, [&](const runtime::ParamHandle& handle, const std::vector<HfTensor>& tensors) {
        if (is_new.contains(tensors.front().names[0])) return;
        load_parameter(stored, tensors, *handle.unit, handle.slot, handle.unit->master());
      });
  engine.publish();
  return {is_new.begin(), is_new.end()};
}

void assign_tensors(runtime::Engine& engine, const HfTensorSource& tensor,
                    const OwnedTensor& owned) {
  const at::NoGradGuard no_grad;
  const auto stored = [&](const HfTensor& wanted) { return tensor(wanted.names[0]); };
  for_each_own_parameter(
      engine, [&](const runtime::ParamHandle& handle, const std::vector<HfTensor>& tensors) {
        load_parameter(stored, tensors, *handle.unit, handle.slot, owned(*handle.unit));
      });
}

void for_each_whole_parameter(runtime::Engine& engine, const OwnedTensor& owned,
                              const WholeParameterSink& sink) {
  const at::NoGradGuard no_grad;
  WholeParameters parameters(engine, owned);
  const spec::ModelSpec& model = engine.model();
  std::set<std::string> done;
  for (int i = 0; i < model.num_layers(); ++i) {
    const spec::LayerSpec& layer = model.layer(i);
    for (const spec::ParamSpec& param : layer.params) {
      if (!done.insert(layer.full_name(param)).second) continue;
      const at::Tensor whole = parameters.bring(i, param);
      if (engine.world().rank() == 0) sink(i, param, whole);
      // Nobody runs ahead: one parameter is under way at a time, and no rank waits long for
      // another.
      engine.world().all().barrier();
    }
  }
}

}  // namespace galvatron::train
