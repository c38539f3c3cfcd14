#include "galvatron/galvatron2/profiles.h"

#include <fstream>
#include <limits>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "galvatron/base/json.h"

#include "config_error.h"
#include "test_paths.h"

namespace galvatron::galvatron2 {
namespace {

namespace fs = std::filesystem;

const fs::path kRecorded =
    testing_paths::source_dir() / "tests/data/galvatron2/cases/profiles/llama2-7b_1x8";
const char* kBandwidth = "allreduce_bandwidth_1nodes_8gpus_per_node.json";
const char* kP2p = "p2p_bandwidth_1nodes_8gpus_per_node.json";
const char* kTimes = "sp_time_1nodes_8gpus_per_node.json";
const char* kOverlap = "overlap_coefficient.json";
const char* kCompute = "computation_profiling_bf16_llama2-7b_all.json";
const char* kMemory = "memory_profiling_bf16_llama2-7b_all.json";

// A copy of the recorded profiles that a test may spoil.
class ProfilesTest : public testing::Test {
 protected:
  ProfilesTest()
      : folder_(fs::temp_directory_path() / ("galvatron2_profiles_" + std::to_string(::getpid()))) {
    fs::remove_all(folder_);
    fs::copy(kRecorded, folder_);
    query_.directory = folder_;
  }
  ~ProfilesTest() override { fs::remove_all(folder_); }

  Json load(const char* file) const { return read_json_file(folder_ / file); }
  void store(const char* file, const std::string& text) const {
    std::ofstream(folder_ / file) << text;
  }
  // What reading says once `change` was done to a file; the file is restored.
  template <typename Change>
  std::string after(const char* file, Change change) {
    Json json = load(file);
    change(json);
    store(file, json.dump());
    const std::string message = read_error();
    fs::copy_file(kRecorded / file, folder_ / file, fs::copy_options::overwrite_existing);
    return message;
  }
  std::string read_error() {
    return config_error_of([&] { read_profiles(query_); });
  }

  fs::path folder_;
  ProfileQuery query_;
};

testing::AssertionResult says(const std::string& message, std::vector<std::string> words) {
  if (message.find('\n') != std::string::npos) {
    return testing::AssertionFailure() << "more than one line: " << message;
  }
  for (const std::string& word : words) {
    if (message.find(word) == std::string::npos) {
      return testing::AssertionFailure() << "'" << message << "' does not say '" << word << "'";
    }
  }
  return testing::AssertionSuccess();
}

TEST_F(ProfilesTest, ReadsWhatWasRecorded) {
  const Profiles profiles = read_profiles(query_);
  EXPECT_EQ(profiles.model, "llama2-7b");
  const Json bandwidth = load(kBandwidth);
  EXPECT_EQ(profiles.consecutive_bandwidth.at(4), double(bandwidth["allreduce_size_4_consec_1"]));
  EXPECT_EQ(profiles.strided_bandwidth.at(2), double(bandwidth["allreduce_size_2_consec_0"]));
  EXPECT_EQ(profiles.p2p_bandwidth.at(2), double(load(kP2p)["pp_size_2"]));
  EXPECT_EQ(profiles.overlap_slowdown, double(load(kOverlap)["overlap_coe"]));
  EXPECT_GT(profiles.layer_forward.slope, 0);
  EXPECT_GT(profiles.parameter_mb, 700);  // 202 million parameters in fp32
}

// Since version 2.4 its profiler numbers what is no layer, too.
TEST_F(ProfilesTest, ReadsNumberedOtherLayers) {
  const Profiles before = read_profiles(query_);
  Json numbered = Json::object();
  const Json recorded = load(kCompute);
  for (const auto& [key, value] : recorded.items()) {
    const std::string type = "layertype_other_";
    numbered[key.starts_with(type) ? type + "0_" + key.substr(type.size()) : key] = value;
  }
  store(kCompute, numbered.dump());
  EXPECT_EQ(read_profiles(query_).other_forward.slope, before.other_forward.slope);
}

TEST_F(ProfilesTest, NamesTheMissingFile) {
  for (const char* file : {kOverlap, kCompute, kMemory}) {
    fs::remove(folder_ / file);
    EXPECT_TRUE(says(read_error(), {folder_.string()})) << file;
    fs::copy_file(kRecorded / file, folder_ / file);
  }
  EXPECT_EQ(read_error(), "");
  fs::remove(folder_ / kBandwidth);
  EXPECT_TRUE(says(read_error(), {"allreduce_bandwidth_", "of 8 devices"}));
  query_.directory = folder_ / "nowhere";
  EXPECT_TRUE(says(read_error(), {"cannot list the folder", "nowhere"}));
}

TEST_F(ProfilesTest, NamesTheMissingKey) {
  EXPECT_TRUE(says(after(kOverlap, [](Json& json) { json.erase("overlap_coe"); }),
                   {kOverlap, "'overlap_coe' is missing"}));
  EXPECT_TRUE(says(after(kMemory, [](Json& json) { json.erase("layertype_0_sp"); }),
                   {"memory_profiling_bf16_", "layer entries"}));
  for (const char* key :
       {"other_memory_pp_off_sp", "other_memory_pp_on_first_sp", "other_memory_pp_on_last_sp"}) {
    EXPECT_TRUE(says(after(kMemory, [&](Json& json) { json.erase(key); }), {kMemory, key}));
  }
  const auto layer = [](Json& json) -> Json& { return json["layertype_0_sp"]["2048"]; };
  EXPECT_TRUE(says(after(kMemory, [&](Json& json) { layer(json).erase("parameter_size"); }),
                   {kMemory, "2048", "'parameter_size' is missing"}));
  const auto drop_checkpoint = [&](Json& json) {
    layer(json)["tp_activation_per_bsz_dict"].erase("checkpoint");
  };
  EXPECT_TRUE(says(after(kMemory, drop_checkpoint), {kMemory, "2048", "'checkpoint'"}));
  EXPECT_TRUE(says(after(kMemory, [&](Json& json) { json["layertype_0_sp"].erase("2048"); }),
                   {kMemory, "layertype_0_sp", "2048"}));
}

// Entries that only some plans need are missed when they are asked for.
TEST_F(ProfilesTest, NamesTheMissingDegree) {
  Json json = load(kBandwidth);
  json.erase("allreduce_size_4_consec_1");
  store(kBandwidth, json.dump());
  const Profiles profiles = read_profiles(query_);
  EXPECT_TRUE(says(config_error_of([&] { profiles.consecutive_bandwidth.at(4); }),
                   {kBandwidth, "'allreduce_size_4_consec_1' is missing"}));
  EXPECT_TRUE(says(config_error_of([&] { profiles.all_to_all.at(64); }),
                   {kTimes, "all2all_size_64_*MB_time"}));
}

TEST_F(ProfilesTest, RefusesAbsurdNumbers) {
  const std::vector<Json> absurd = {
      -1, 0, 1e300, "12", nullptr, true, Json::array({1}), Json::object()};
  for (const Json& value : absurd) {
    const auto set = [&](const char* file, const char* key) {
      return after(file, [&](Json& json) { json[key] = value; });
    };
    EXPECT_TRUE(says(set(kBandwidth, "allreduce_size_4_consec_1"),
                     {kBandwidth, "'allreduce_size_4_consec_1'"}));
    EXPECT_TRUE(says(set(kP2p, "pp_size_2"), {kP2p, "'pp_size_2'"}));
    EXPECT_TRUE(
        says(set(kTimes, "allreduce_size_4_8MB_time"), {kTimes, "'allreduce_size_4_8MB_time'"}));
    EXPECT_TRUE(says(set(kOverlap, "overlap_coe"), {kOverlap, "'overlap_coe'"}));
    EXPECT_TRUE(
        says(set(kCompute, "layertype_0_bsz4_seq2048"), {kCompute, "'layertype_0_bsz4_seq2048'"}));
    EXPECT_TRUE(
        says(after(kMemory,
                   [&](Json& json) { json["layertype_0_sp"]["2048"]["parameter_size"] = value; }),
             {kMemory, "'parameter_size'"}));
  }
  // Faster side by side than one after the other.
  EXPECT_TRUE(
      says(after(kOverlap, [](Json& json) { json["overlap_coe"] = 0.5; }), {kOverlap, "0.5"}));
}

TEST_F(ProfilesTest, RefusesWhatIsNoJson) {
  for (const char* text : {"", "{", "[1, 2]", "3", "{\"overlap_coe\": NaN}", "\x01\x02"}) {
    store(kOverlap, text);
    EXPECT_TRUE(says(read_error(), {kOverlap})) << text;
  }
}

TEST_F(ProfilesTest, RefusesContradictions) {
  // The same profile under both names.
  fs::copy_file(folder_ / kMemory, folder_ / "memory_profiling_bf16_llama2-7b.json");
  EXPECT_TRUE(says(read_error(), {"are both there"}));
  fs::remove(folder_ / "memory_profiling_bf16_llama2-7b.json");
  // Profiles of two models, of two machines of eight.
  fs::copy_file(folder_ / kMemory, folder_ / "memory_profiling_bf16_other_all.json");
  EXPECT_TRUE(says(read_error(), {"llama2-7b", "other", "--model"}));
  fs::remove(folder_ / "memory_profiling_bf16_other_all.json");
  fs::copy_file(folder_ / kBandwidth, folder_ / "allreduce_bandwidth_2nodes_4gpus_per_node.json");
  EXPECT_TRUE(says(read_error(), {"1nodes_8gpus_per_node", "2nodes_4gpus", "--num-nodes"}));
  query_.num_nodes = 1;
  EXPECT_EQ(read_error(), "");
  // Larger batches that take less time.
  EXPECT_TRUE(says(after(kCompute,
                         [](Json& json) {
                           for (int bsz = 1; bsz <= 10; ++bsz) {
                             const std::string key =
                                 "layertype_0_bsz" + std::to_string(bsz) + "_seq2048";
                             json[key] = 100.0 / (bsz * bsz);
                           }
                         }),
                   {kCompute, "layertype_0", "contradicts itself"}));
  EXPECT_TRUE(says(after(kMemory, [](Json& json) { json["layertype_1_sp"] = Json::object(); }),
                   {kMemory, "several layer types"}));
}

TEST_F(ProfilesTest, SaysWhatAFitLacks) {
  EXPECT_TRUE(says(after(kCompute,
                         [](Json& json) {
                           for (int bsz = 3; bsz <= 12; ++bsz) {
                             json.erase("layertype_0_bsz" + std::to_string(bsz) + "_seq2048");
                           }
                         }),
                   {kCompute, "layertype_0_bsz*_seq2048 has 2 batch sizes", "at least 8"}));
  query_.seq_length = 4096;
  EXPECT_TRUE(says(read_error(), {"4096"}));
}

TEST_F(ProfilesTest, SaysWhichWayAFileIsRead) {
  const auto lengths = [](Json& json) {
    json = Json::object();
    for (const int length : {1024, 2048, 4096})
      json[fmt::format("layertype_0_bsz1_seq{}", length)] = length / 500.0;
  };
  EXPECT_TRUE(says(after(kCompute, lengths), {"--time-profile-mode sequence"}));
  const auto one_batch = [](Json& json) { json = {{"layertype_0_bsz8_seq2048", 4.3}}; };
  EXPECT_TRUE(says(after(kCompute, one_batch), {"--time-profile-mode static"}));
  const auto flat = [](Json& json) { json = {{"layertype_0", 4.3}, {"layertype_other", 6.2}}; };
  EXPECT_TRUE(says(after(kCompute, flat), {"no key names batch size and length"}));
  const auto without_sp = [](Json& json) {
    json["layertype_0"] = json["layertype_0_sp"];
    json.erase("layertype_0_sp");
  };
  EXPECT_TRUE(says(after(kMemory, without_sp), {"layertype_0_sp", "use --no-sequence-parallel"}));
  query_.precision = spec::Precision::kFp16;
  EXPECT_TRUE(says(read_error(), {"memory_profiling_fp16", "it has --precision bf16"}));
}

// Profiles of attention and MLP, which its runtime reads, are no models.
TEST_F(ProfilesTest, PartsOfALayerAreNoModel) {
  const std::string part = "memory_profiling_bf16_llama2-7b_attention.json";
  fs::copy_file(folder_ / kMemory, folder_ / part);
  EXPECT_EQ(read_profiles(query_).model, "llama2-7b");
}

TEST(Modes, HintAtTheRightWord) {
  EXPECT_TRUE(says(config_error_of([] { parse_time_mode("bacth"); }),
                   {"'bacth'", "did you mean 'batch'?"}));
  EXPECT_TRUE(says(config_error_of([] { parse_memory_mode("stati"); }),
                   {"'stati'", "did you mean 'static'?"}));
}

}  // namespace
}  // namespace galvatron::galvatron2
