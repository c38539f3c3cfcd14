// Files of named tensors in Hugging Face's safetensors format, read in place and written as a
// stream.
//
// A file is: the header's length (8 bytes, little-endian), a JSON header {name: {dtype, shape,
// data_offsets}}, and the tensors' bytes one after the other. A model too large for one file is a
// folder of such shards with an index {"weight_map": {name: shard}}.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/base/mapped_file.h"
#include "galvatron/base/units.h"

namespace galvatron::models {

struct TensorInfo {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  std::vector<std::int64_t> shape;

  std::int64_t numel() const;
  Bytes bytes() const;
};

// "F32", "BF16", ...: the format's names, for messages.
std::string dtype_name(at::ScalarType dtype);
// "[3, 4]".
std::string shape_text(const std::vector<std::int64_t>& shape);

class SafetensorsReader {
 public:
  // A .safetensors file, or a folder with model.safetensors or model.safetensors.index.json and its
  // shards. Reads the headers alone. ConfigError naming file and tensor for what is missing,
  // truncated or contradicts itself.
  explicit SafetensorsReader(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::vector<std::string> names() const;                 // sorted
  const TensorInfo* find(const std::string& name) const;  // null where there is none
  // The shard in which the index says that a tensor is which no shard holds; empty: it says
  // nothing.
  std::string promised_shard(const std::string& name) const;
  // The tensor over the mapped file: for reading only, and slices of it read their own pages alone.
  // It keeps the mapping alive. REQUIRES: the tensor is there.
  at::Tensor view(const std::string& name) const;

 private:
  struct Entry {
    TensorInfo info;
    std::shared_ptr<const MappedFile> file;
    std::string file_name;
    std::int64_t offset = 0;  // of the first byte in the file
  };
  void add_file(const std::filesystem::path& path);
  void add_shards(const std::filesystem::path& index);

  std::filesystem::path path_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> promised_;  // tensor -> shard
};

struct SafetensorsWriterOptions {
  Bytes max_shard{5'000'000'000};  // of tensor bytes; a larger tensor gets a shard of its own
  std::map<std::string, std::string> metadata = {{"format", "pt"}};
};

// Writes tensors whose names, types and shapes are known beforehand, in any order, one at a time in
// memory. Everything goes to temporary files beside their place until finish().
class SafetensorsWriter {
 public:
  // `path` is the file. With more than one shard "model.safetensors" becomes
  // "model-00001-of-00003.safetensors" ... and "model.safetensors.index.json". ConfigError when the
  // folder cannot be written.
  SafetensorsWriter(std::filesystem::path path, const std::vector<TensorInfo>& tensors,
                    const SafetensorsWriterOptions& options = {});
  ~SafetensorsWriter();  // removes what was not finished
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  // Converts to the announced type. REQUIRES: announced, of that shape, not written before.
  // RuntimeFailure when the disk is full.
  void write(const std::string& name, const at::Tensor& value);
  // Moves the files to their names, the index last. REQUIRES: every tensor was written.
  void finish();

 private:
  struct Shard;
  struct Place {
    TensorInfo info;
    std::size_t shard = 0;
    std::int64_t offset = 0;  // in the file
    bool written = false;
  };
  void lay_out(const std::vector<TensorInfo>& tensors, Bytes max_shard);
  void start_shard(std::size_t index, const std::map<std::string, std::string>& metadata);
  void write_index() const;

  std::filesystem::path path_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::map<std::string, Place> places_;
};

// All at once, in their own types.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors);

}  // namespace galvatron::models
