// An array in numpy's file format, read in place.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "galvatron/base/mapped_file.h"

namespace galvatron::data {

class NpyArray {
 public:
  // ConfigError naming the file for what is missing, truncated, damaged, stored column by column or
  // of a type other than uint8, int32, int64 and float32.
  explicit NpyArray(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const std::vector<std::int64_t>& shape() const { return shape_; }
  at::ScalarType type() const { return type_; }
  // Over the mapped file: for reading only, while this array lives. Rows read their own pages.
  at::Tensor view() const;

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::vector<std::int64_t> shape_;
  at::ScalarType type_ = at::kByte;
  std::int64_t offset_ = 0;  // of the first element in the file
};

}  // namespace galvatron::data
