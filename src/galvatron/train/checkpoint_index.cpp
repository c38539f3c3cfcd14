#include "galvatron/train/checkpoint_index.h"

#include <charconv>

#include <fmt/format.h>

#include "galvatron/base/mapped_file.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/train/versions.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "galvatron-checkpoint";
constexpr std::int64_t kMaxCount = std::int64_t{1} << 53;
constexpr Bytes kMaxIndex = gibibytes(1);

// Version 1 knew one optimizer.
constexpr const char* kOptimizerOfVersion1 = "adamw";

// Ends the text; covers all before it.
std::string seal_of(std::string_view body) {
  return fmt::format(",\n  \"checksum\": \"{}\"\n}}\n", checksum_text(checksum(body)));
}

bool is_sealed(std::string_view text) {
  const std::size_t length = seal_of("").size();
  if (text.size() < length) return false;
  const std::string_view body = text.substr(0, text.size() - length);
  return text.substr(body.size()) == seal_of(body);
}

OrderedJson file_json(const FileRecord& file) {
  OrderedJson blocks = OrderedJson::array();
  for (const std::uint64_t block : file.blocks) blocks.push_back(fmt::format("{:016x}", block));
  return {{"name", file.name}, {"bytes", file.bytes}, {"checksums", std::move(blocks)}};
}

bool is_plain_name(const std::string& name) {
  return !name.empty() && fs::path(name).filename() == name && name != "." && name != "..";
}

std::uint64_t parse_hex(const Json& value, const std::string& source) {
  std::uint64_t out = 0;
  const std::string text = value.is_string() ? value.get<std::string>() : "";
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), out, 16);
  if (text.size() != 16 || error != std::errc() || stop != text.data() + text.size())
    throw ConfigError(source, ": ", value.dump(), " is no checksum");
  return out;
}

FileRecord parse_file(const Json& value, const std::string& source) {
  JsonReader reader(value, source + ": files");
  FileRecord out{reader.get_string("name"), reader.get_int("bytes", 0, kMaxCount), {}};
  if (!is_plain_name(out.name))
    throw ConfigError(source, " names the file '", out.name, "', which is not in its folder");
  for (const Json& block : reader.get_array("checksums"))
    out.blocks.push_back(parse_hex(block, source));
  reader.finish();
  const std::int64_t needed = (out.bytes + kChecksumBlock - 1) / kChecksumBlock;
  if (static_cast<std::int64_t>(out.blocks.size()) != needed)
    throw ConfigError(source, ": ", out.name, " has ", out.blocks.size(), " checksums, not ",
                      needed);
  return out;
}

void read_version3(JsonReader& reader, CheckpointIndex& out) {
  out.run = reader.get_string("run");
  out.precision = spec::parse_precision(reader.get_string("precision"));
  out.global_batch = reader.get_int("global_batch", 1, kMaxCount);
  for (const auto& [key, part] :
       {std::pair{"model_config", &out.model_config}, std::pair{"options", &out.options},
        std::pair{"data", &out.data}, std::pair{"plan", &out.plan}}) {
    reader.get_object(key);
    *part = reader.get(key);
  }
  JsonReader data = reader.get_object("data");
  for (const std::string& file : data.keys()) {
    JsonReader print = data.get_object(file);
    print.get_int("bytes", 0, kMaxCount);
    print.get_string("checksum");
  }
  out.samples_state = reader.get_string_or("samples_state", "");
  for (const char* key : {"versions", "checksum"}) reader.ignore(key);
  if (reader.get_int("checksum_block", 1, kMaxCount) != kChecksumBlock)
    throw ConfigError(reader.source(), " has checksums of blocks of another size");
  for (const Json& file : reader.get_array("files"))
    out.files.push_back(parse_file(file, reader.source()));
}

CheckpointIndex parse_index(std::string_view text, const std::string& source) {
  const Json json = parse_json(text, source);
  JsonReader reader(json, source);
  if (reader.get_string("format") != kFormat) throw ConfigError(source, " is no checkpoint");
  CheckpointIndex out;
  out.version = static_cast<int>(reader.get_int("version", 1, kCheckpointVersion));
  if (out.version >= 3 && !is_sealed(text))
    throw ConfigError(source, " does not have its checksum: it was changed, or is half there");
  out.model = reader.get_string("model");
  out.seq_length = reader.get_int("seq_length", 1, kMaxCount);
  out.steps_done = reader.get_int("steps_done", 0, kMaxCount);
  out.samples_consumed = reader.get_int("samples_consumed", 0, kMaxCount);
  out.optimizer = out.version == 1 ? kOptimizerOfVersion1 : reader.get_string("optimizer");
  out.optimizer_steps = reader.get_int("optimizer_steps", 0, kMaxCount);
  out.scaler.scale = reader.get_number("loss_scale", 0, 1e300);
  out.scaler.good_steps = reader.get_int("good_steps", 0, kMaxCount);
  if (out.version >= 3) read_version3(reader, out);
  reader.finish();
  return out;
}

}  // namespace

std::string index_text(const CheckpointIndex& index) {
  OrderedJson files = OrderedJson::array();
  for (const FileRecord& file : index.files) files.push_back(file_json(file));
  OrderedJson json{{"format", kFormat},
                   {"version", kCheckpointVersion},
                   {"run", index.run},
                   {"model", index.model},
                   {"seq_length", index.seq_length},
                   {"steps_done", index.steps_done},
                   {"samples_consumed", index.samples_consumed},
                   {"global_batch", index.global_batch},
                   {"precision", spec::to_text(index.precision.value())},
                   {"optimizer", index.optimizer},
                   {"optimizer_steps", index.optimizer_steps},
                   {"loss_scale", index.scaler.scale},
                   {"good_steps", index.scaler.good_steps},
                   {"versions", versions()},
                   {"options", index.options},
                   {"data", index.data},
                   {"model_config", index.model_config},
                   {"plan", index.plan},
                   {"checksum_block", kChecksumBlock}};
  if (!index.samples_state.empty()) json["samples_state"] = index.samples_state;
  json["files"] = std::move(files);
  std::string text = json.dump(2);
  text.resize(text.size() - std::string_view("\n}").size());
  return text + seal_of(text);
}

CheckpointIndex read_index(const fs::path& checkpoint) {
  const fs::path path = checkpoint / kIndexFile;
  try {
    const MappedFile file(path);
    if (static_cast<std::int64_t>(file.bytes().size()) > kMaxIndex.value)
      throw ConfigError(path.string(), " is larger than ", to_text(kMaxIndex));
    return parse_index({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()},
                       path.string());
  } catch (const ConfigError& error) {
    throw DamagedCheckpoint(checkpoint, error.what());
  }
}

std::string index_print(const fs::path& checkpoint) {
  return file_print(checkpoint / kIndexFile).checksum;
}

}  // namespace galvatron::train
