#include <cstdlib>
#include <fstream>
#include <map>
#include <random>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "galvatron/spec/model_spec.h"

#include "config_error.h"

namespace galvatron::spec {
namespace {

namespace fs = std::filesystem;

class ModelFolder : public testing::Test {
 protected:
  ModelFolder()
      : folder_(fs::temp_directory_path() / ("galvatron_model_test_" + std::to_string(getpid()))) {
    fs::create_directories(folder_ / "my-llama");
  }
  ~ModelFolder() override {
    unsetenv("GALVATRON_CONFIGS");
    fs::remove_all(folder_);
  }

  void write(const fs::path& path, const std::string& text) {
    fs::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << text;
  }

  fs::path folder_;
};

constexpr const char* kLlama = R"({"model_type": "llama", "num_hidden_layers": 2})";

// Totals as transformers' own models of the same configs have them.
TEST(Presets, HaveTheKnownParameterCounts) {
  const std::map<std::string, std::int64_t> known = {
      {"bert-base", 109'514'298},
      {"bert-huge-32", 671'079'482},
      {"bert-huge-48", 985'918'522},
      {"bert-large", 335'174'458},
      {"bert-tiny", 112'765},
      {"deit-base", 86'569'192},
      {"deit-small", 22'051'432},
      {"deit-tiny", 55'114},
      {"distilbert-base", 66'985'530},
      {"distilbert-tiny", 139'917},
      {"flan-t5-base", 247'577'856},
      {"flan-t5-large", 783'150'080},
      {"flan-t5-xl", 2'849'757'184},
      {"gemma-2b", 2'506'172'416},
      {"gemma-7b", 8'537'680'896},
      {"gemma2-27b", 27'227'128'320},
      {"gemma2-2b", 2'614'341'888},
      {"gemma2-9b", 9'241'705'984},
      {"gemma2-tiny", 218'176},
      {"gemma3-1b", 999'885'952},
      {"gemma3-270m", 268'098'176},
      {"gemma3-tiny", 218'304},
      {"gpt-1t", 1'008'038'758'400},
      {"gpt-neox-20b", 20'554'567'680},
      {"gpt2", 124'439'808},
      {"gpt2-0.3b", 354'823'168},
      {"gpt2-1.5b", 1'557'611'200},
      {"gpt2-2.7b", 2'651'553'280},
      {"gpt2-6.7b", 6'658'404'352},
      {"gpt2-quickstart", 5'853'184},
      {"gpt2-tiny", 140'864},
      {"gpt3-1.3b", 1'315'723'264},
      {"gpt3-13b", 12'853'386'240},
      {"gpt3-175b", 174'604'259'328},
      {"gpt3-2.7b", 2'651'553'280},
      {"gpt3-6.7b", 6'658'404'352},
      {"llama-0.3b", 373'867'520},
      {"llama-13b", 13'015'864'320},
      {"llama-30b", 32'528'943'616},
      {"llama-65b", 65'285'660'672},
      {"llama-7b", 6'738'415'616},
      {"llama-tiny", 250'432},
      {"llama2-13b", 13'015'864'320},
      {"llama2-70b", 68'976'648'192},
      {"llama2-7b", 6'738'415'616},
      {"llama3-405b", 405'853'388'800},
      {"llama3-70b", 70'553'706'496},
      {"llama3-8b", 8'030'261'248},
      {"llama3.1-405b", 405'853'388'800},
      {"llama3.1-70b", 70'553'706'496},
      {"llama3.1-8b", 8'030'261'248},
      {"llama3.2-1b", 1'235'814'400},
      {"llama3.2-3b", 3'212'749'824},
      {"mistral-7b", 7'248'023'552},
      {"mt5-base", 582'401'280},
      {"mt5-large", 1'229'581'312},
      {"mt5-small", 300'176'768},
      {"olmo2-13b", 13'716'198'400},
      {"olmo2-1b", 1'484'916'736},
      {"olmo2-32b", 32'234'279'936},
      {"olmo2-7b", 7'298'617'344},
      {"olmo2-tiny", 250'816},
      {"phi3-medium", 13'960'238'080},
      {"phi3-mini", 3'821'079'552},
      {"phi3-tiny", 250'432},
      {"pythia-1.4b", 1'414'647'808},
      {"pythia-12b", 11'846'072'320},
      {"pythia-160m", 162'322'944},
      {"pythia-1b", 1'011'781'632},
      {"pythia-2.8b", 2'775'208'960},
      {"pythia-410m", 405'334'016},
      {"pythia-6.9b", 6'857'302'016},
      {"pythia-tiny", 265'600},
      {"qwen2.5-0.5b", 494'032'768},
      {"qwen2.5-1.5b", 1'543'714'304},
      {"qwen2.5-14b", 14'770'033'664},
      {"qwen2.5-32b", 32'763'876'352},
      {"qwen2.5-3b", 3'085'938'688},
      {"qwen2.5-72b", 72'706'203'648},
      {"qwen2.5-7b", 7'615'616'512},
      {"qwen2.5-tiny", 403'680},
      {"qwen3-0.6b", 596'049'920},
      {"qwen3-1.7b", 1'720'574'976},
      {"qwen3-14b", 14'768'307'200},
      {"qwen3-32b", 32'762'123'264},
      {"qwen3-4b", 4'022'468'096},
      {"qwen3-8b", 8'190'735'360},
      {"roberta-base", 124'697'433},
      {"roberta-large", 355'412'057},
      {"roberta-tiny", 140'109},
      {"swin-huge", 1'016'178'840},
      {"swin-large", 196'735'516},
      {"swin-tiny", 53'326},
      {"t5-3b", 2'851'598'336},
      {"t5-base", 222'903'552},
      {"t5-large", 737'668'096},
      {"t5-small", 60'506'624},
      {"t5-tiny", 197'440},
      {"tinyllama-1.1b", 1'100'048'384},
      {"vit-base", 86'567'656},
      {"vit-huge", 632'199'400},
      {"vit-large", 304'326'632},
      {"vit-tiny", 77'530},
      {"vit-xhuge", 10'075'631'080},
  };
  std::map<std::string, std::int64_t> found;
  for (const std::string& name : preset_names()) found[name] = load_model(name).num_params();
  EXPECT_EQ(found, known);
}

// Billions of parameters as papers (LLaMA, table 2; GPT-3, table D.1; Megatron-LM, table 1) and
// model cards say them.
TEST(Presets, HaveThePublishedSizes) {
  const std::map<std::string, double> published = {
      {"bert-base", 0.110},    {"gpt-1t", 1008},        {"gpt2", 0.124},
      {"gpt3-1.3b", 1.320},    {"gpt3-2.7b", 2.650},    {"gpt3-6.7b", 6.660},
      {"gpt3-13b", 12.850},    {"gpt3-175b", 174.600},  {"llama-7b", 6.7},
      {"llama-13b", 13.0},     {"llama-30b", 32.5},     {"llama-65b", 65.2},
      {"llama2-7b", 6.74},     {"llama2-13b", 13.0},    {"llama2-70b", 69.0},
      {"llama3-8b", 8.03},     {"llama3-70b", 70.6},    {"llama3-405b", 405},
      {"llama3.1-8b", 8.03},   {"llama3.1-70b", 70.6},  {"llama3.1-405b", 405},
      {"llama3.2-1b", 1.23},   {"llama3.2-3b", 3.21},   {"mistral-7b", 7.25},
      {"qwen2.5-0.5b", 0.49},  {"qwen2.5-1.5b", 1.54},  {"qwen2.5-3b", 3.09},
      {"qwen2.5-7b", 7.61},    {"qwen2.5-14b", 14.7},   {"qwen2.5-32b", 32.5},
      {"qwen2.5-72b", 72.7},   {"qwen3-0.6b", 0.6},     {"qwen3-1.7b", 1.72},
      {"qwen3-4b", 4.0},       {"qwen3-8b", 8.2},       {"qwen3-14b", 14.8},
      {"qwen3-32b", 32.8},     {"swin-large", 0.197},   {"t5-3b", 2.85},
      {"tinyllama-1.1b", 1.1}, {"vit-base", 0.086},     {"phi3-mini", 3.8},
      {"phi3-medium", 14.0},   {"gpt-neox-20b", 20.6},  {"pythia-1b", 1.01},
      {"pythia-6.9b", 6.86},   {"pythia-12b", 11.8},    {"olmo2-7b", 7.30},
      {"olmo2-13b", 13.7},     {"olmo2-32b", 32.2},     {"gemma-2b", 2.51},
      {"gemma-7b", 8.54},      {"gemma2-2b", 2.61},     {"gemma2-9b", 9.24},
      {"gemma2-27b", 27.2},    {"gemma3-1b", 1.0},      {"mt5-small", 0.3},
      {"mt5-base", 0.58},      {"roberta-base", 0.125},
  };
  for (const auto& [name, billions] : published) {
    const auto params = static_cast<double>(load_model(name).num_params());
    EXPECT_NEAR(params / 1e9, billions, 0.01 * billions) << name;
  }
}

TEST(Presets, KnowHowLongTheirSequencesMayBe) {
  const std::map<std::string, std::int64_t> known = {
      {"llama-13b", 2048},     {"llama2-13b", 4096},      {"llama3-70b", 8192},
      {"llama3-405b", 8192},   {"llama3.1-405b", 131072}, {"llama3.2-1b", 131072},
      {"qwen2.5-0.5b", 32768}, {"qwen2.5-14b", 131072},   {"qwen3-8b", 40960},
      {"mistral-7b", 32768},   {"gpt3-175b", 2048},
  };
  for (const auto& [name, positions] : known)
    EXPECT_EQ(load_model(name).max_positions, positions) << name;
}

// Low frequencies are stretched by the factor, the highest are kept (transformers' "llama3" rope).
TEST(Presets, OfLlama31StretchTheirRope) {
  const RopeSpec plain = load_model("llama3-8b").first_block().shape.rope;
  const RopeSpec stretched = load_model("llama3.1-8b").first_block().shape.rope;
  EXPECT_EQ(stretched.inverse_frequencies.front(), plain.inverse_frequencies.front());
  EXPECT_DOUBLE_EQ(stretched.inverse_frequencies.back(), plain.inverse_frequencies.back() / 8);
}

TEST(Presets, CarryTheirNameAndTrainWithoutDropout) {
  for (const std::string& name : preset_names()) {
    const ModelSpec model = load_model(name);
    EXPECT_EQ(model.name, name);
    const TransformerShape& shape = model.layers[1].shape;
    EXPECT_EQ(shape.embedding_dropout + shape.attention_dropout + shape.residual_dropout, 0);
  }
}

TEST_F(ModelFolder, IsNamedAfterTheFolderOrTheFile) {
  write("my-llama/config.json", kLlama);
  write("other.json", kLlama);
  EXPECT_EQ(load_model((folder_ / "my-llama").string()).name, "my-llama");
  EXPECT_EQ(load_model((folder_ / "my-llama/").string()).name, "my-llama");
  EXPECT_EQ(load_model((folder_ / "my-llama/config.json").string()).name, "my-llama");
  EXPECT_EQ(load_model((folder_ / "other.json").string()).name, "other");
  EXPECT_EQ(load_model((folder_ / "other.json").string()).config, Json::parse(kLlama));
}

TEST_F(ModelFolder, PresetsComeFromTheEnvironmentsFolder) {
  write("configs/models/mine.json", kLlama);
  setenv("GALVATRON_CONFIGS", (folder_ / "configs").c_str(), 1);
  EXPECT_EQ(preset_names(), (std::vector<std::string>{"mine"}));
  EXPECT_EQ(load_model("mine").num_blocks(), 2);
  EXPECT_NE(config_error_of([] { load_model("gpt2"); }), "");
}

// As in transformers: what somebody has under a preset's name is what he means.
TEST_F(ModelFolder, AFolderOfAPresetsNameWins) {
  const fs::path before = fs::current_path();
  write("gpt2-tiny/config.json", kLlama);
  fs::create_directories(folder_ / "gpt2");  // holds no model
  fs::current_path(folder_);
  EXPECT_EQ(load_model("gpt2-tiny").family, Family::kLlama);
  EXPECT_EQ(load_model("gpt2").family, Family::kGpt);
  fs::current_path(before);
}

// A path may hold any bytes, JSON files hold UTF-8.
TEST_F(ModelFolder, NamesAreUtf8) {
  write("mod\xe8le.json", kLlama);
  EXPECT_EQ(load_model((folder_ / "mod\xe8le.json").string()).name, "mod\xef\xbf\xbdle");
}

TEST_F(ModelFolder, ErrorsNameTheFile) {
  EXPECT_NE(config_error_of([&] { load_model(folder_.string()); }).find("config.json"),
            std::string::npos);
  write("broken.json", "{");
  EXPECT_NE(config_error_of([&] {
              load_model((folder_ / "broken.json").string());
            }).find("broken.json is not valid JSON"),
            std::string::npos);
  write("odd.json", R"({"model_type": "gpt2", "n_head": 7})");
  EXPECT_NE(config_error_of([&] {
              load_model((folder_ / "odd.json").string());
            }).find("(in " + (folder_ / "odd.json").string() + ")"),
            std::string::npos);
}

TEST_F(ModelFolder, SaysWhatIsMeantInstead) {
  const auto said = [&](const std::string& name) {
    return config_error_of([&] { load_model((folder_ / name).string()); });
  };
  write("run/checkpoint-500/config.json", kLlama);
  write("run/checkpoint-1000/config.json", kLlama);
  EXPECT_NE(said("run").find("is checkpoint-1000 or checkpoint-500 below it meant?"),
            std::string::npos)
      << said("run");
  fs::create_directories(folder_ / "snapshot");
  fs::create_symlink("../../blobs/1", folder_ / "snapshot" / "config.json");
  EXPECT_NE(said("snapshot").find("it is a link to ../../blobs/1, which is not there"),
            std::string::npos);
  fs::create_symlink("gone", folder_ / "latest");
  EXPECT_NE(said("latest").find("it is a link to gone"), std::string::npos);
  const std::string pipe = (folder_ / "pipe").string();
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_NE(said("pipe").find("write it to a file"), std::string::npos);
}

TEST_F(ModelFolder, IsFoundAtHome) {
  const std::string before = std::getenv("HOME") ? std::getenv("HOME") : "";
  setenv("HOME", folder_.c_str(), 1);
  write("my-llama/config.json", kLlama);
  EXPECT_EQ(load_model("~/my-llama").num_blocks(), 2);
  setenv("HOME", before.c_str(), 1);
}

// Of a model of pictures and text, of another program, of nobody knows what.
TEST(ModelFromConfig, SaysWhatAConfigLacks) {
  const auto said = [](const char* text) {
    return config_error_of([&] { model_from_config(Json::parse(text), "mine"); });
  };
  EXPECT_NE(said(R"({"model_type": "mistral3", "text_config": {"model_type": "mistral"}})")
                .find("make its text_config ('mistral') a config.json"),
            std::string::npos);
  EXPECT_EQ(said(R"({"model_type": "llava", "text_config": {"model_type": "mamba"}})")
                .find("text_config"),
            std::string::npos);
  EXPECT_NE(said(R"({"n_layer": 2, "n_embd": 32, "n_head": 4})").find("\"model_type\": \"gpt2\""),
            std::string::npos);
  EXPECT_NE(said(R"({"d_model": 32, "d_kv": 8})").find("\"model_type\": \"t5\""),
            std::string::npos);
  EXPECT_EQ(said(R"({"train_batch_size": 4})"),
            "[model] mine says no model_type: is it the config.json of a model?");
  for (const char* key : {"quantization_config", "compression_config", "quantization"}) {
    Json config = {{"model_type", "llama"}, {"num_hidden_layers", 2}, {key, {{"bits", 4}}}};
    EXPECT_NE(config_error_of([&] { model_from_config(config, "mine"); }).find(key),
              std::string::npos);
    config[key] = Json::object();
    EXPECT_EQ(config_error_of([&] { model_from_config(config, "mine"); }), "");
  }
}

TEST(LoadModel, SuggestsTheNearestThreePresets) {
  EXPECT_EQ(config_error_of([] { load_model("lama2-7b"); }),
            "[model] 'lama2-7b' is no preset and no file or folder, did you mean 'llama2-7b', "
            "'llama-7b', 'llama2-70b'? (galvatron models lists all presets)");
  EXPECT_EQ(config_error_of([] { load_model("meta-llama/Llama-2-13b-hf"); }),
            "[model] 'meta-llama/Llama-2-13b-hf' is not a folder here; the preset llama2-13b has "
            "its sizes");
  EXPECT_NE(config_error_of([] { load_model(""); }), "");
}

// Any value under any key is a model or one sentence, never a crash.
TEST(ModelFromConfig, SurvivesHostileValues) {
  const std::vector<Json> hostile = {nullptr, true,  -1,          0,     1,
                                     3.7,     1e300, "text",      "",    Json::array(),
                                     9e18,    2e9,   {{"a", {}}}, -1e-9, Json::parse("[[[1]]]")};
  constexpr unsigned kSeed = 20240607;
  std::mt19937 random(kSeed);
  int accepted = 0;
  int refused = 0;
  for (const std::string name : {"gpt2-tiny", "llama-tiny", "qwen2.5-tiny"}) {
    const Json config = load_model(name).config;
    for (const auto& item : config.items()) {
      for (const Json& value : hostile) {
        Json changed = config;
        changed[item.key()] = value;
        changed["rope_scaling"] = hostile[random() % hostile.size()];
        try {
          EXPECT_GT(model_from_config(changed, name).num_params(), 0);
          ++accepted;
        } catch (const ConfigError&) {
          ++refused;
        }
      }
    }
  }
  EXPECT_GT(accepted, 50) << "seed " << kSeed;
  EXPECT_GT(refused, 200) << "seed " << kSeed;
}

}  // namespace
}  // namespace galvatron::spec
