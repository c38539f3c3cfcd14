// Small token file pairs, written byte by byte as the format says, for tests of what reads them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include <unistd.h>

namespace galvatron::data {

// A folder of its own for each test, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "galvatron-data-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

template <typename T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// One sequence per document.
template <typename Token>
void write_token_pair(const std::string& prefix, std::uint8_t type_code,
                      const std::vector<std::vector<Token>>& documents) {
  std::string tokens, lengths, positions, borders;
  for (const auto& document : documents) {
    append(positions, static_cast<std::int64_t>(tokens.size()));
    append(lengths, static_cast<std::int32_t>(document.size()));
    for (const Token token : document) append(tokens, token);
  }
  for (std::size_t i = 0; i <= documents.size(); ++i) append(borders, static_cast<std::int64_t>(i));
  std::string index("MMIDIDX\0\0", 9);
  append(index, std::uint64_t{1});
  append(index, type_code);
  append(index, static_cast<std::uint64_t>(documents.size()));
  append(index, static_cast<std::uint64_t>(documents.size() + 1));
  write_bytes(prefix + ".idx", index + lengths + positions + borders);
  write_bytes(prefix + ".bin", tokens);
}

// One document with the tokens 0, 1, ..., count - 1: a token's id is its position.
inline void write_counting_pair(const std::string& prefix, int count) {
  std::vector<std::uint16_t> tokens(static_cast<std::size_t>(count));
  std::iota(tokens.begin(), tokens.end(), std::uint16_t{0});
  write_token_pair<std::uint16_t>(prefix, 8, {tokens});
}

}  // namespace galvatron::data
