// Small array files, written as numpy writes them, for tests of what reads them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/token_file.h"

namespace galvatron::data {

inline std::string npy_header(std::string dictionary) {
  while ((10 + dictionary.size() + 1) % 64 != 0) dictionary += ' ';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  append(bytes, static_cast<std::uint16_t>(dictionary.size() + 1));
  return bytes + dictionary + "\n";
}

template <typename T>
void write_npy(const std::string& path, const std::string& type,
               const std::vector<std::int64_t>& shape, const std::vector<T>& values) {
  std::string sizes;
  for (const std::int64_t size : shape) sizes += std::to_string(size) + ", ";
  std::string bytes =
      npy_header("{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + sizes + "), }");
  for (const T value : values) append(bytes, value);
  write_bytes(path, bytes);
}

// PREFIX.images.npy and PREFIX.labels.npy: byte images [count, 1, height, width] whose pixels are
// the image's number, but for a white corner at the top left; image i has class i % num_classes.
inline void write_image_pair(const std::string& prefix, int count, int height, int width,
                             int num_classes) {
  std::vector<std::uint8_t> pixels;
  std::vector<std::int64_t> labels;
  for (int i = 0; i < count; ++i) {
    for (int p = 0; p < height * width; ++p)
      pixels.push_back(static_cast<std::uint8_t>(p == 0 ? 255 : i));
    labels.push_back(i % num_classes);
  }
  write_npy<std::uint8_t>(prefix + ".images.npy", "|u1", {count, 1, height, width}, pixels);
  write_npy<std::int64_t>(prefix + ".labels.npy", "<i8", {count}, labels);
}

}  // namespace galvatron::data
