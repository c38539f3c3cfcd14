#include "galvatron/data/npy_array.h"

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "config_error.h"
#include "data/array_file.h"
#include "data/token_file.h"

namespace galvatron::data {
namespace {

std::string refusal(const std::string& path) {
  return config_error_of([&] { NpyArray array(path); });
}

TEST(NpyArray, ReadsWhatNumpyWrites) {
  const TemporaryFolder folder;
  write_npy<std::uint8_t>(folder / "bytes.npy", "|u1", {2, 3}, {1, 2, 3, 4, 5, 255});
  write_npy<float>(folder / "floats.npy", "<f4", {2}, {0.5F, -1.5F});
  const NpyArray bytes(folder / "bytes.npy"), floats(folder / "floats.npy");
  EXPECT_EQ(bytes.shape(), (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(bytes.view()[1][2].item<int>(), 255);
  EXPECT_EQ(floats.type(), at::kFloat);
  EXPECT_EQ(floats.view()[1].item<float>(), -1.5F);
}

TEST(NpyArray, AnEmptyArrayIsOne) {
  const TemporaryFolder folder;
  write_npy<std::int64_t>(folder / "none.npy", "<i8", {0, 4}, {});
  EXPECT_EQ(NpyArray(folder / "none.npy").view().sizes(), (std::vector<std::int64_t>{0, 4}));
}

TEST(NpyArray, RefusesDamageInOneSentence) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.npy";
  EXPECT_NE(refusal(path).find("cannot open"), std::string::npos);
  write_bytes(path, "PK\x03\x04 this is a zip file");
  EXPECT_EQ(refusal(path), "[data] " + path + " is no .npy file of numpy");
  write_npy<std::int32_t>(path, "<i4", {4}, {1, 2, 3, 4});
  const std::string whole = read_bytes(path);
  write_bytes(path, whole.substr(0, whole.size() - 3));
  EXPECT_EQ(refusal(path),
            "[data] " + path +
                " holds 13 bytes of elements, but its shape [4] needs 16: it is truncated");
  write_bytes(path, whole.substr(0, 40));
  EXPECT_EQ(refusal(path), "[data] " + path + " ends within its header: it is truncated");
  write_npy<double>(path, "<f8", {1}, {1});
  EXPECT_EQ(refusal(path),
            "[data] " + path +
                " holds elements of type '<f8'; write uint8, int32, int64 or float32 "
                "(array.astype)");
  write_bytes(path,
              npy_header("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2), }") + "abcd");
  EXPECT_NE(refusal(path).find("stored column by column"), std::string::npos);
  write_bytes(path, npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (-2,), }"));
  EXPECT_NE(refusal(path).find("a shape that no array has"), std::string::npos);
  const char* const kHuge =
      "{'descr': '<i8', 'fortran_order': False, 'shape': (281474976710656, 281474976710656), }";
  write_bytes(path, npy_header(kHuge));
  EXPECT_NE(refusal(path).find("truncated"), std::string::npos);
  write_bytes(path, npy_header("{'descr': [('a', '<i4')], 'shape': (2,) "));
  EXPECT_NE(refusal(path), "");
}

}  // namespace
}  // namespace galvatron::data
