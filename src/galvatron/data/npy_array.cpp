#include "galvatron/data/npy_array.h"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>

#include <ATen/ATen.h>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"

namespace galvatron::data {
namespace {

constexpr std::string_view kNpyMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeader = 1 << 16;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 48;

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

// The header is a Python dictionary: {'descr': '|u1', 'fortran_order': False, 'shape': (3, 4), }.
Json parse_header(std::string_view header, const std::string& source) {
  std::string json;
  for (const char c : header) {
    if (c == ' ' || c == '\n') continue;
    if (c == ')' || c == '}' || c == ']') {
      if (!json.empty() && json.back() == ',') json.pop_back();
    }
    json += c == '\'' ? '"' : c == '(' ? '[' : c == ')' ? ']' : c;
  }
  for (const auto& [python, ours] : {std::pair{":False", ":false"}, std::pair{":True", ":true"}}) {
    const std::size_t at = json.find(python);
    if (at != std::string::npos) json.replace(at, std::string_view(python).size(), ours);
  }
  return parse_json(json, source);
}

at::ScalarType parse_type(const std::string& descr, const std::string& source) {
  static const std::map<std::string, at::ScalarType> kTypes = {
      {"|u1", at::kByte}, {"<i4", at::kInt}, {"<i8", at::kLong}, {"<f4", at::kFloat}};
  const auto it = kTypes.find(descr);
  if (it != kTypes.end()) return it->second;
  throw ConfigError("[data] ", source, " holds elements of type '", descr,
                    "'; write uint8, int32, int64 or float32 (array.astype)");
}

}  // namespace

NpyArray::NpyArray(const std::filesystem::path& path) : path_(path), file_(path) {
  const std::string source = path.string();
  const std::string_view text = text_of(file_);
  const auto damaged = [&](const std::string& what) {
    return ConfigError("[data] ", source, " ", what);
  };
  if (text.size() < 12 || !text.starts_with(kNpyMagic)) throw damaged("is no .npy file of numpy");
  const auto byte = [&](std::size_t i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(text[i]));
  };
  const bool wide = byte(6) > 1;  // format 2 and 3: four bytes of length
  const std::size_t start = wide ? 12 : 10;
  const std::size_t length =
      byte(8) + (byte(9) << 8) + (wide ? (byte(10) << 16) + (byte(11) << 24) : 0);
  if (length > kMaxHeader || start + length > text.size()) {
    throw damaged("ends within its header: it is truncated");
  }
  const Json header = parse_header(text.substr(start, length), source);
  JsonReader reader(header, source);
  type_ = parse_type(reader.get_string("descr"), source);
  if (reader.get_bool_or("fortran_order", false)) {
    throw damaged("is stored column by column; write it with numpy.ascontiguousarray");
  }
  std::int64_t elements = 1;
  for (const Json& size : reader.get_array("shape")) {
    if (!size.is_number_integer() || size < 0 || size > kMaxElements) {
      throw damaged("has a shape that no array has: " + header.at("shape").dump());
    }
    shape_.push_back(size.get<std::int64_t>());
    elements = shape_.back() > 0 && elements > kMaxElements / shape_.back()
                   ? kMaxElements
                   : elements * shape_.back();
  }
  offset_ = static_cast<std::int64_t>(start + length);
  const std::int64_t needs = elements * static_cast<std::int64_t>(c10::elementSize(type_));
  const std::int64_t has = static_cast<std::int64_t>(text.size()) - offset_;
  if (has == needs) return;
  throw ConfigError("[data] ", source, " holds ", has, " bytes of elements, but its shape ",
                    header.at("shape").dump(), " needs ", needs, ": it is ",
                    has < needs ? "truncated" : "no single array");
}

at::Tensor NpyArray::view() const {
  void* start = const_cast<std::byte*>(file_.bytes().data() + offset_);
  return at::from_blob(start, shape_, at::TensorOptions().dtype(type_));
}

}  // namespace galvatron::data
