#include "galvatron/models/safetensors.h"

#include <algorithm>
#include <cstring>
#include <regex>
#include <set>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/models/safetensors_header.h"

namespace galvatron::models {
namespace {

namespace fs = std::filesystem;

const char* const kFileName = "model.safetensors";
const char* const kIndexName = "model.safetensors.index.json";

// weight_map of an index: tensor -> shard.
std::map<std::string, std::string> read_weight_map(const fs::path& index) {
  const Json json = read_json_file(index);
  JsonReader reader(json, index.string());
  JsonReader weights = reader.get_object("weight_map");
  std::map<std::string, std::string> map;
  for (const std::string& name : weights.keys()) {
    const std::string shard = weights.get_string(name);
    if (shard.empty() || fs::path(shard).filename() != shard || shard == "." || shard == "..") {
      throw ConfigError("[weights] ", index.string(), ": '", shard, "' is no plain file name");
    }
    map.emplace(name, shard);
  }
  return map;
}

void check_shards_exist(const fs::path& folder, const std::set<std::string>& shards) {
  std::string missing;
  for (const std::string& shard : shards) {
    if (!fs::exists(folder / shard)) missing += (missing.empty() ? "" : ", ") + shard;
  }
  if (missing.empty()) return;
  throw ConfigError("[weights] ", (folder / kIndexName).string(),
                    " names shards that are not there: ", missing);
}

// model-00001-of-00003.safetensors and its brothers where all are there, whose index is not.
std::vector<fs::path> shards_without_index(const fs::path& folder) {
  static const std::regex shard(R"((.*-)([0-9]{5})(-of-([0-9]{5})\.safetensors))");
  std::map<std::string, std::vector<fs::path>> found;  // by what all of them have in common
  std::map<std::string, std::size_t> counts;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    std::smatch match;
    if (!std::regex_match(name, match, shard)) continue;
    const std::string common = match[1].str() + match[3].str();
    found[common].push_back(entry.path());
    counts[common] = std::stoul(match[4]);
  }
  for (auto& [common, shards] : found) {
    if (shards.size() != counts[common]) {
      throw ConfigError("[weights] ", folder.string(), " holds ", shards.size(), " of the ",
                        counts[common], " files ", common, ": get the others, and ", kIndexName);
    }
    std::sort(shards.begin(), shards.end());
    return shards;
  }
  return {};
}

// What lies in the place of weights, and what makes some of it.
std::string what_is_there(const fs::path& folder) {
  const auto has = [&](const char* name) { return fs::exists(folder / name); };
  if (has("adapter_config.json")) {
    return "; it is an adapter (LoRA): merge it into its model with merge_and_unload() and "
           "save_pretrained()";
  }
  if (has("pytorch_model.bin") || has("pytorch_model.bin.index.json")) {
    return "; convert its pytorch_model.bin with save_pretrained(..., safe_serialization=True)";
  }
  if (has("tf_model.h5") || has("flax_model.msgpack")) {
    return "; convert its weights with from_pretrained(..., from_tf=True or from_flax=True) and "
           "save_pretrained()";
  }
  if (has("snapshots")) return "; it is a hub's cache: give the folder below its snapshots/";
  if (has("checkpoint.json"))
    return "; it is a checkpoint of a run: go on with --resume, or make weights of it with "
           "galvatron export";
  std::string others;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const std::string ending = entry.path().extension().string();
    if (ending == ".gguf" || ending == ".pth" || ending == ".pt")
      return "; " + name + " has to be converted to safetensors, by transformers' scripts";
    if (ending == ".safetensors") others += (others.empty() ? "" : " or ") + name;
  }
  return others.empty() ? "" : "; is " + others + " meant? Give the file's name, with --model";
}

[[noreturn]] void fail_no_weights(const fs::path& folder) {
  throw ConfigError("[weights] ", folder.string(), " holds neither ", kFileName, " nor ",
                    kIndexName, what_is_there(folder));
}

}  // namespace

std::int64_t TensorInfo::numel() const {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

Bytes TensorInfo::bytes() const {
  return {numel() * static_cast<std::int64_t>(c10::elementSize(dtype))};
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + "]";
}

SafetensorsReader::SafetensorsReader(const fs::path& path) : path_(path) {
  if (!fs::is_directory(path)) {
    add_file(path);
  } else if (fs::exists(path / kFileName)) {
    add_file(path / kFileName);
  } else if (fs::exists(path / kIndexName)) {
    add_shards(path / kIndexName);
  } else {
    const std::vector<fs::path> shards = shards_without_index(path);
    if (shards.empty()) fail_no_weights(path);
    for (const fs::path& shard : shards) add_file(shard);
  }
}

void SafetensorsReader::add_file(const fs::path& path) {
  const auto file = std::make_shared<const MappedFile>(path);
  for (HeaderEntry& entry : parse_header(file->bytes(), path.string())) {
    const std::string name = entry.info.name;
    Entry value{std::move(entry.info), file, path.filename().string(), entry.bytes.begin};
    if (!entries_.emplace(name, std::move(value)).second) {
      throw ConfigError("[weights] ", path.string(), ": tensor '", name,
                        "' is in another shard too");
    }
  }
}

void SafetensorsReader::add_shards(const fs::path& index) {
  const std::map<std::string, std::string> weight_map = read_weight_map(index);
  std::set<std::string> shards;
  for (const auto& [name, shard] : weight_map) shards.insert(shard);
  check_shards_exist(index.parent_path(), shards);
  for (const std::string& shard : shards) add_file(index.parent_path() / shard);
  // Buffers and tied copies are often named and not there: whoever needs one says so.
  for (const auto& [name, shard] : weight_map) {
    if (!entries_.contains(name)) promised_.emplace(name, shard);
  }
}

std::vector<std::string> SafetensorsReader::names() const {
  std::vector<std::string> out;
  for (const auto& [name, entry] : entries_) out.push_back(name);
  return out;
}

const TensorInfo* SafetensorsReader::find(const std::string& name) const {
  const auto it = entries_.find(name);
  return it == entries_.end() ? nullptr : &it->second.info;
}

std::string SafetensorsReader::promised_shard(const std::string& name) const {
  const auto it = promised_.find(name);
  return it == promised_.end() ? "" : it->second;
}

at::Tensor SafetensorsReader::view(const std::string& name) const {
  const auto it = entries_.find(name);
  GALV_CHECK(it != entries_.end(), path_.string(), " has no tensor ", name);
  const Entry& entry = it->second;
  const at::TensorOptions options = at::TensorOptions().dtype(entry.info.dtype);
  if (entry.info.numel() == 0) return at::empty(entry.info.shape, options);
  const std::byte* data = entry.file->bytes().data() + entry.offset;
  if (reinterpret_cast<std::uintptr_t>(data) % c10::elementSize(entry.info.dtype) != 0) {
    at::Tensor copy = at::empty(entry.info.shape, options);
    std::memcpy(copy.data_ptr(), data, static_cast<std::size_t>(entry.info.bytes().value));
    return copy;
  }
  return at::from_blob(
      const_cast<std::byte*>(data), entry.info.shape, [file = entry.file](void*) {}, options);
}

}  // namespace galvatron::models
