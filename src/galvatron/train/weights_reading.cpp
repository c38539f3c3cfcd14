#include "galvatron/train/weights_reading.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::train {
namespace {

using models::TensorInfo;

// What a tensor's name tells of how it was saved, and what makes whole weights of it.
struct SavingSign {
  std::string_view in_name, hint;
};
constexpr std::string_view kQuantised =
    "; they are quantised: use the checkpoint with its original weights";
constexpr std::array<SavingSign, 8> kSavingSigns = {{
    {".lora_", "; an adapter (LoRA) lies in them: merge it with merge_and_unload()"},
    {"_flat_param", "; FSDP has saved them flat: save a full state dict"},
    {".qweight", kQuantised},
    {".weight_packed", kQuantised},
    {".weight_scale", kQuantised},
    {"_scale_inv", kQuantised},
    {".quant_map", kQuantised},
    {".scales", kQuantised},
}};

}  // namespace

std::string how_they_were_saved(const StoredWeights& reader) {
  std::vector<std::string> names = reader.names();
  for (const std::string& name : names) {
    if (reader.find(name)->shape == std::vector<std::int64_t>{0}) {
      return "; they are empty, as ZeRO-3 saves them where nobody gathers them: make whole ones "
             "with zero_to_fp32.py";
    }
  }
  names.insert(names.end(), reader.left_out().begin(), reader.left_out().end());
  for (const SavingSign& sign : kSavingSigns) {
    const auto has = [&](const std::string& name) {
      return name.find(sign.in_name) != std::string::npos;
    };
    if (std::any_of(names.begin(), names.end(), has)) return std::string(sign.hint);
  }
  return "";
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
    modules.insert(name.substr(0, name.find('.', name.find('.') + 1)));
  if (modules.empty()) return "";
  return fmt::format("{} has {} tensors that this model does not: {} left out", path.string(),
                     weights.left_out().size(), fmt::join(modules, ", "));
}

}  // namespace galvatron::train
