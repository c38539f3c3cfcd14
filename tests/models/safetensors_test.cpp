#include "galvatron/models/safetensors.h"

#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "galvatron/base/json.h"
#include "galvatron/comm/torch_headers.h"

#include "config_error.h"

namespace galvatron::models {
namespace {

namespace fs = std::filesystem;

class SafetensorsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              fmt::format("safetensors-{}-{}", getpid(),
                          testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    file_ = folder_ / "model.safetensors";
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A file of this header and so many bytes of data.
  void write_raw(const std::string& header, std::size_t data_bytes) const {
    const std::uint64_t length = header.size();
    std::ofstream out(file_, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&length), sizeof(length));
    out << header << std::string(data_bytes, '\1');
  }
  // The complaint about such a file, which it calls F.
  std::string problem_of(const std::string& header, std::size_t data_bytes) const {
    write_raw(header, data_bytes);
    return file_problem();
  }
  std::string file_problem() const { return problem(file_, "F"); }
  std::string folder_problem() const { return problem(folder_, "D"); }
  static std::string problem(const fs::path& path, const std::string& name) {
    std::string text = config_error_of([&] { SafetensorsReader reader(path); });
    const std::size_t at = text.find(path.string());
    return at == std::string::npos ? text : text.replace(at, path.string().size(), name);
  }
  // Three tensors in two shards.
  void write_shards() const {
    SafetensorsWriter writer(
        file_, {{"a", at::kFloat, {4}}, {"b", at::kFloat, {4}}, {"c", at::kFloat, {4}}},
        {.max_shard = Bytes{40}});
    for (const char* name : {"c", "a", "b"}) writer.write(name, at::full({4}, name[0]));
    writer.finish();
  }

  fs::path folder_, file_;
};

TEST_F(SafetensorsTest, ReadsWhatItWrote) {
  const at::Tensor matrix = at::arange(6).to(at::kFloat).view({2, 3});
  const at::Tensor ids = at::arange(3);
  const at::Tensor half = at::arange(5).to(at::kBFloat16);
  const at::Tensor scalar = at::full({}, 7.5, at::kDouble);
  write_safetensors(file_, {{"half", half},
                            {"matrix", matrix.t()},
                            {"none", at::empty({0, 3})},
                            {"ids", ids},
                            {"scalar", scalar}});
  const SafetensorsReader reader(folder_);
  EXPECT_EQ(reader.names(), (std::vector<std::string>{"half", "ids", "matrix", "none", "scalar"}));
  EXPECT_TRUE(at::equal(reader.view("matrix"), matrix.t()));
  EXPECT_TRUE(at::equal(reader.view("ids"), ids));
  EXPECT_TRUE(at::equal(reader.view("half"), half));
  EXPECT_TRUE(at::equal(reader.view("scalar"), scalar));
  EXPECT_EQ(reader.view("none").sizes(), (std::vector<std::int64_t>{0, 3}));
  EXPECT_EQ(reader.find("matrix")->shape, (std::vector<std::int64_t>{3, 2}));
  EXPECT_EQ(reader.find("half")->dtype, at::kBFloat16);
  EXPECT_EQ(reader.find("other"), nullptr);
}

TEST_F(SafetensorsTest, ViewsOutliveTheReader) {
  write_safetensors(file_, {{"a", at::arange(4)}});
  const at::Tensor view = SafetensorsReader(file_).view("a");
  fs::remove(file_);
  EXPECT_TRUE(at::equal(view, at::arange(4)));
}

TEST_F(SafetensorsTest, ReadsTensorsThatAreNotAligned) {
  write_raw(
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[1,5]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
      5);
  const float expected = std::bit_cast<float>(0x01010101);
  EXPECT_EQ(SafetensorsReader(file_).view("a").item<float>(), expected);
}

TEST_F(SafetensorsTest, WritesInAnyOrderAndConverts) {
  SafetensorsWriter writer(file_, {{"small", at::kBFloat16, {3}}, {"wide", at::kDouble, {2}}});
  writer.write("wide", at::full({2}, 1.5, at::kFloat));
  EXPECT_FALSE(fs::exists(file_)) << "nothing is in place before finish()";
  writer.write("small", at::full({3}, 2.25, at::kDouble));
  writer.finish();
  const SafetensorsReader reader(file_);
  EXPECT_TRUE(at::equal(reader.view("wide"), at::full({2}, 1.5, at::kDouble)));
  EXPECT_TRUE(at::equal(reader.view("small"), at::full({3}, 2.25, at::kBFloat16)));
}

TEST_F(SafetensorsTest, LeavesNothingWhenItIsNotFinished) {
  {
    SafetensorsWriter writer(file_, {{"a", at::kFloat, {3}}});
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(SafetensorsTest, ShardsBySizeWithAnIndex) {
  write_shards();
  const Json index = read_json_file(folder_ / "model.safetensors.index.json");
  EXPECT_EQ(index["metadata"]["total_size"], 48);
  EXPECT_EQ(index["weight_map"]["a"], "model-00001-of-00002.safetensors");
  EXPECT_EQ(index["weight_map"]["b"], "model-00001-of-00002.safetensors");
  EXPECT_EQ(index["weight_map"]["c"], "model-00002-of-00002.safetensors");
  const SafetensorsReader reader(folder_);
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_EQ(reader.view(name)[2].item<float>(), static_cast<float>(name[0]));
  }
}

TEST_F(SafetensorsTest, NamesAMissingOrWrongShard) {
  write_shards();
  const fs::path first = folder_ / "model-00001-of-00002.safetensors";
  const fs::path second = folder_ / "model-00002-of-00002.safetensors";
  fs::rename(second, folder_ / "elsewhere");
  EXPECT_EQ(folder_problem(),
            "[weights] D/model.safetensors.index.json names shards that are not there: "
            "model-00002-of-00002.safetensors");
  fs::copy_file(first, second);
  EXPECT_NE(folder_problem().find("tensor 'a' is in another shard too"), std::string::npos)
      << folder_problem();
  fs::remove(second);
  write_safetensors(second, {{"d", at::zeros({4})}});
  const SafetensorsReader reader(folder_);
  EXPECT_EQ(reader.find("c"), nullptr);
  EXPECT_EQ(reader.promised_shard("c"), "model-00002-of-00002.safetensors");
  EXPECT_EQ(reader.promised_shard("a"), "");
}

TEST_F(SafetensorsTest, NamesATruncatedShard) {
  write_shards();
  const fs::path second = folder_ / "model-00002-of-00002.safetensors";
  fs::resize_file(second, fs::file_size(second) - 1);
  EXPECT_NE(folder_problem().find(
                "model-00002-of-00002.safetensors: tensor 'c' ends at byte 16 of the data, of "
                "which the file holds 15: it is truncated"),
            std::string::npos)
      << folder_problem();
}

TEST_F(SafetensorsTest, KeepsShardNamesInsideTheFolder) {
  for (const char* name : {"../x.safetensors", "/etc/passwd", "a/b", "..", ""}) {
    write_json_file(folder_ / "model.safetensors.index.json", {{"weight_map", {{"a", name}}}});
    EXPECT_NE(folder_problem().find("is no plain file name"), std::string::npos)
        << folder_problem();
  }
}

TEST_F(SafetensorsTest, SaysWhatAFolderLacks) {
  EXPECT_EQ(folder_problem(),
            "[weights] D holds neither model.safetensors nor model.safetensors.index.json");
  std::ofstream(folder_ / "pytorch_model.bin") << "x";
  EXPECT_NE(folder_problem().find("convert its pytorch_model.bin"), std::string::npos);
}

TEST_F(SafetensorsTest, SaysWhatLiesInThePlaceOfWeights) {
  write_raw("{}", 0);
  fs::create_directories(folder_ / "weights");
  fs::rename(file_, folder_ / "weights" / "model.safetensors");
  EXPECT_NE(folder_problem().find("is weights below it meant?"), std::string::npos);
  fs::remove_all(folder_ / "weights");
  std::ofstream(folder_ / "model.safetensors.incomplete") << "x";
  EXPECT_NE(folder_problem().find("a download that did not end"), std::string::npos);
  fs::remove(folder_ / "model.safetensors.incomplete");
  fs::create_symlink("../blobs/1", file_);
  EXPECT_NE(folder_problem().find("it is a link to ../blobs/1, which is not there"),
            std::string::npos);
  fs::remove(file_);
  std::ofstream(file_) << "<!DOCTYPE html><html>";
  EXPECT_NE(file_problem().find("a web page"), std::string::npos);
}

TEST_F(SafetensorsTest, OfSeveralSetsOfShardsTakesTransformers) {
  write_shards();
  fs::remove(folder_ / "model.safetensors.index.json");
  for (const int part : {1, 2}) {
    fs::copy_file(folder_ / fmt::format("model-0000{}-of-00002.safetensors", part),
                  folder_ / fmt::format("consolidated-0000{}-of-00002.safetensors", part));
  }
  EXPECT_EQ(SafetensorsReader(folder_).names(), (std::vector<std::string>{"a", "b", "c"}));
  fs::copy_file(folder_ / "model-00001-of-00002.safetensors",
                folder_ / "model-00001-of-00001.safetensors");
  EXPECT_NE(folder_problem().find("holds several sets of weights, model-*-of-00001.safetensors "
                                  "and model-*-of-00002.safetensors"),
            std::string::npos)
      << folder_problem();
}

TEST_F(SafetensorsTest, RefusesHeadersThatCannotBe) {
  std::ofstream(file_) << "short";
  EXPECT_EQ(file_problem(), "[weights] F has 5 bytes: it is truncated");
  std::ofstream(file_) << std::string(16, '\xff');
  EXPECT_NE(file_problem().find("no safetensors file"), std::string::npos) << file_problem();
  std::ofstream(file_) << std::string("\x20\0\0\0\0\0\0\0{}", 10);
  EXPECT_EQ(file_problem(),
            "[weights] F announces a header of 32 bytes and holds 2: it is truncated");
  EXPECT_NE(problem_of("{\"a\"", 0).find("the header is not valid JSON"), std::string::npos);
  EXPECT_EQ(problem_of("[]", 0), "[weights] F: the header is no object");
  EXPECT_NE(problem_of(std::string(100, '[') + std::string(100, ']'), 0).find("deeper than 8"),
            std::string::npos);
  EXPECT_EQ(problem_of(R"({"a":1})", 0), "[json] F: tensor 'a' must be an object, not number");
}

TEST_F(SafetensorsTest, RefusesTensorsThatContradictThemselves) {
  const auto entry = [](const char* dtype, const char* shape, const char* offsets) {
    return fmt::format(R"({{"a":{{"dtype":"{}","shape":{},"data_offsets":{}}}}})", dtype, shape,
                       offsets);
  };
  EXPECT_EQ(problem_of(entry("F33", "[1]", "[0,4]"), 4),
            "[weights] F: tensor 'a' has the unknown dtype 'F33'");
  EXPECT_EQ(problem_of(entry("F32", "[2,3]", "[0,20]"), 20),
            "[weights] F: tensor 'a' is F32 [2, 3], which takes 24 bytes, but its data_offsets are "
            "[0,20]");
  EXPECT_EQ(
      problem_of(entry("F32", "[1]", "[4,0]"), 4),
      "[weights] F: tensor 'a' is F32 [1], which takes 4 bytes, but its data_offsets are [4,0]");
  EXPECT_EQ(problem_of(entry("F32", "[-1]", "[0,4]"), 4),
            "[weights] F: tensor 'a': shape holds -1");
  EXPECT_EQ(problem_of(entry("F32", "[1.5]", "[0,4]"), 4),
            "[weights] F: tensor 'a': shape holds 1.5");
  EXPECT_NE(problem_of(entry("F32", "[4294967296,4294967296,4294967296]", "[0,4]"), 4)
                .find("is too large"),
            std::string::npos);
  EXPECT_EQ(problem_of(entry("F32", "[1]", "[0,18446744073709551615]"), 4),
            "[weights] F: tensor 'a': data_offsets holds 18446744073709551615");
  EXPECT_NE(problem_of(entry("F32", "[1]", "[0]"), 4).find("must be two numbers"),
            std::string::npos);
  EXPECT_NE(problem_of(entry("F32", "[1]", "[0,4],\"more\":1"), 4).find("'more' is unknown"),
            std::string::npos);
  EXPECT_NE(problem_of(entry("F32", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,4]"), 4)
                .find("17 dimensions"),
            std::string::npos);
}

TEST_F(SafetensorsTest, RefusesDataThatDoesNotAddUp) {
  const auto two = [](const char* a, const char* b, const char* second = "b") {
    return fmt::format(
        R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":{}}},"{}":{{"dtype":"U8","shape":[4],"data_offsets":{}}}}})",
        a, second, b);
  };
  EXPECT_EQ(problem_of(two("[0,4]", "[4,8]"), 8), "");
  EXPECT_EQ(problem_of(two("[0,4]", "[2,6]"), 8), "[weights] F: tensor 'b' overlaps tensor 'a'");
  EXPECT_EQ(
      problem_of(two("[0,4]", "[5,9]"), 9),
      "[weights] F: tensor 'b' starts at byte 5 of the data, but the tensors before it end at 4");
  EXPECT_EQ(problem_of(two("[0,4]", "[4,8]"), 9),
            "[weights] F holds 1 bytes at its end that belong to no tensor");
  EXPECT_EQ(problem_of(two("[0,4]", "[4,8]"), 7),
            "[weights] F: tensor 'b' ends at byte 8 of the data, of which the file holds 7: it is "
            "truncated");
  EXPECT_EQ(problem_of(two("[0,4]", "[4,8]", "a"), 8), "[weights] F names tensor 'a' twice");
}

TEST_F(SafetensorsTest, SurvivesEveryTruncationAndFlippedBytes) {
  write_safetensors(file_, {{"a", at::arange(4)}, {"b", at::ones({2, 2})}});
  std::string good(fs::file_size(file_), '\0');
  std::ifstream(file_, std::ios::binary)
      .read(good.data(), static_cast<std::streamsize>(good.size()));
  for (std::size_t size = 0; size < good.size(); ++size) {
    std::ofstream(file_, std::ios::binary) << good.substr(0, size);
    EXPECT_NE(file_problem(), "") << "truncated to " << size;
  }
  for (std::size_t i = 0; i < good.size() - 48; ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x15);
    std::ofstream(file_, std::ios::binary) << bad;
    file_problem();  // a ConfigError or a file that still makes sense; nothing else
  }
}

}  // namespace
}  // namespace galvatron::models
