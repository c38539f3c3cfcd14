#include "galvatron/models/safetensors_header.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"

namespace galvatron::models {
namespace {

constexpr std::int64_t kLengthBytes = 8;
constexpr std::int64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr int kMaxDepth = 8;
constexpr std::int64_t kMaxSize = std::int64_t{1} << 48;  // of a dimension, an offset, a tensor
constexpr std::size_t kMaxDimensions = 16;
constexpr std::size_t kHeaderAlignment = 8;
const char* const kMetadata = "__metadata__";

struct DtypeName {
  const char* name;
  at::ScalarType dtype;
};
constexpr std::array<DtypeName, 15> kDtypes = {{{"F64", at::kDouble},
                                                {"F32", at::kFloat},
                                                {"F16", at::kHalf},
                                                {"BF16", at::kBFloat16},
                                                {"F8_E4M3", at::kFloat8_e4m3fn},
                                                {"F8_E5M2", at::kFloat8_e5m2},
                                                {"I64", at::kLong},
                                                {"I32", at::kInt},
                                                {"I16", at::kShort},
                                                {"I8", at::kChar},
                                                {"U64", at::kUInt64},
                                                {"U32", at::kUInt32},
                                                {"U16", at::kUInt16},
                                                {"U8", at::kByte},
                                                {"BOOL", at::kBool}}};

at::ScalarType parse_dtype(const std::string& name, const std::string& source) {
  for (const DtypeName& known : kDtypes) {
    if (name == known.name) return known.dtype;
  }
  throw ConfigError("[weights] ", source, " has the unknown dtype '", name, "'");
}

std::int64_t parse_size(const Json& value, const std::string& what, const std::string& source) {
  const bool fits = value.is_number_unsigned() &&
                    value.get<std::uint64_t>() <= static_cast<std::uint64_t>(kMaxSize);
  if (!fits) throw ConfigError("[weights] ", source, ": ", what, " holds ", value.dump());
  return value.get<std::int64_t>();
}

std::vector<std::int64_t> parse_shape(const Json& value, const std::string& source) {
  if (value.size() > kMaxDimensions) {
    throw ConfigError("[weights] ", source, " has ", value.size(), " dimensions, more than ",
                      kMaxDimensions);
  }
  std::vector<std::int64_t> shape;
  std::int64_t numel = 1;
  for (const Json& item : value) {
    shape.push_back(parse_size(item, "shape", source));
    if (shape.back() > 0 && numel > kMaxSize / shape.back()) {
      throw ConfigError("[weights] ", source, ": a shape of ", value.dump(), " is too large");
    }
    numel *= shape.back();
  }
  return shape;
}

HeaderEntry parse_entry(const std::string& name, const Json& value, const std::string& source) {
  const std::string place = source + ": tensor '" + name + "'";
  JsonReader reader(value, place);
  HeaderEntry entry;
  entry.info.name = name;
  entry.info.dtype = parse_dtype(reader.get_string("dtype"), place);
  entry.info.shape = parse_shape(reader.get_array("shape"), place);
  const Json& offsets = reader.get_array("data_offsets");
  if (offsets.size() != 2) {
    throw ConfigError("[weights] ", place, ": data_offsets must be two numbers, not ",
                      offsets.dump());
  }
  entry.bytes = {parse_size(offsets[0], "data_offsets", place),
                 parse_size(offsets[1], "data_offsets", place)};
  reader.finish();
  const std::int64_t needed = entry.info.bytes().value;
  if (entry.bytes.size() != needed) {
    throw ConfigError("[weights] ", place, " is ", dtype_name(entry.info.dtype), " ",
                      shape_text(entry.info.shape), ", which takes ", needed,
                      " bytes, but its data_offsets are ", offsets.dump());
  }
  return entry;
}

Json parse_json_once(std::string_view text, const std::string& source) {
  UniqueKeys keys;
  const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxDepth) {
      throw ConfigError("[weights] ", source, ": the header is nested deeper than ", kMaxDepth,
                        " levels");
    }
    if (const std::string* key = keys.repeated(event, value)) {
      throw ConfigError("[weights] ", source, " names ", depth == 1 ? "tensor" : "key", " '", *key,
                        "' twice");
    }
    return true;
  };
  try {
    return Json::parse(text, check);
  } catch (const Json::exception& error) {
    throw ConfigError("[weights] ", source, ": the header is not valid JSON: ", error.what());
  }
}

std::string_view header_text(std::span<const std::byte> file, const std::string& source) {
  const auto size = static_cast<std::int64_t>(file.size());
  if (size < kLengthBytes) {
    throw ConfigError("[weights] ", source, " has ", size, " bytes: it is truncated");
  }
  const std::string_view begin(reinterpret_cast<const char*>(file.data()), file.size());
  if (begin.starts_with("version https://git-lfs")) {
    throw ConfigError("[weights] ", source,
                      " is a pointer of Git LFS, not the weights: fetch them with git lfs pull");
  }
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof(length));
  if (length > static_cast<std::uint64_t>(kMaxHeaderBytes)) {
    throw ConfigError("[weights] ", source, " announces a header of ", length,
                      " bytes, more than the ", kMaxHeaderBytes,
                      " that the format allows: it is no safetensors file");
  }
  if (static_cast<std::int64_t>(length) > size - kLengthBytes) {
    throw ConfigError("[weights] ", source, " announces a header of ", length, " bytes and holds ",
                      size - kLengthBytes, ": it is truncated");
  }
  return {reinterpret_cast<const char*>(file.data()) + kLengthBytes, length};
}

// Sorted by place, every tensor must start where the one before it ends, up to the end of the file.
void check_places(const std::vector<HeaderEntry>& entries, std::int64_t data_size,
                  const std::string& source) {
  std::int64_t end = 0;
  const HeaderEntry* previous = nullptr;
  for (const HeaderEntry& entry : entries) {
    const std::string tensor = source + ": tensor '" + entry.info.name + "'";
    if (entry.bytes.end > data_size) {
      throw ConfigError("[weights] ", tensor, " ends at byte ", entry.bytes.end,
                        " of the data, of which the file holds ", data_size, ": it is truncated");
    }
    if (entry.bytes.begin < end) {
      throw ConfigError("[weights] ", tensor, " overlaps tensor '", previous->info.name, "'");
    }
    if (entry.bytes.begin > end) {
      throw ConfigError("[weights] ", tensor, " starts at byte ", entry.bytes.begin,
                        " of the data, but the tensors before it end at ", end);
    }
    end = entry.bytes.end;
    previous = &entry;
  }
  if (end != data_size) {
    throw ConfigError("[weights] ", source, " holds ", data_size - end,
                      " bytes at its end that belong to no tensor");
  }
}

bool by_place(const HeaderEntry& a, const HeaderEntry& b) {
  return a.bytes.begin != b.bytes.begin ? a.bytes.begin < b.bytes.begin : a.bytes.end < b.bytes.end;
}

}  // namespace

std::string dtype_name(at::ScalarType dtype) {
  for (const DtypeName& known : kDtypes) {
    if (dtype == known.dtype) return known.name;
  }
  return c10::toString(dtype);
}

std::vector<HeaderEntry> parse_header(std::span<const std::byte> file, const std::string& source) {
  const std::string_view text = header_text(file, source);
  const Json header = parse_json_once(text, source);
  if (!header.is_object()) throw ConfigError("[weights] ", source, ": the header is no object");
  std::vector<HeaderEntry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != kMetadata) entries.push_back(parse_entry(name, value, source));
  }
  std::sort(entries.begin(), entries.end(), by_place);
  const std::int64_t data = kLengthBytes + static_cast<std::int64_t>(text.size());
  check_places(entries, static_cast<std::int64_t>(file.size()) - data, source);
  for (HeaderEntry& entry : entries) entry.bytes.begin += data, entry.bytes.end += data;
  return entries;
}

std::string make_header(const std::vector<HeaderEntry>& entries,
                        const std::map<std::string, std::string>& metadata) {
  OrderedJson header = OrderedJson::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  for (const HeaderEntry& entry : entries) {
    header[entry.info.name] = {{"dtype", dtype_name(entry.info.dtype)},
                               {"shape", entry.info.shape},
                               {"data_offsets", {entry.bytes.begin, entry.bytes.end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text;
}

}  // namespace galvatron::models
