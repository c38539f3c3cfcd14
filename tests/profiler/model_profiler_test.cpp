// The model profile of tiny models: real measurements, held to what must be true of them. Nothing
// is compared with a clock.
#include "galvatron/profiler/model_profiler.h"

#include <gtest/gtest.h>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/profiler/profile_tables.h"
#include "galvatron/runtime/memory_meter.h"

#include "config_error.h"

namespace galvatron::profiler {
namespace {

constexpr std::int64_t kShortLength = 32;
constexpr std::int64_t kRotaryTableBytes = kShortLength * 16 / 2 * 4;  // head size 16, fp32

ModelProfileOptions small_options() {
  ModelProfileOptions options;
  options.seq_length = kShortLength;
  options.precision = spec::Precision::kFp32;
  options.microbatch_sizes = {1, 2};
  options.seconds = 0;
  return options;
}

const profiles::ModelProfile& profile_of(const std::string& name) {
  static std::map<std::string, profiles::ModelProfile> profiles;
  runtime::MemoryMeter::install();
  if (!profiles.contains(name)) {
    at::set_num_threads(1);
    profiles[name] = profile_model(spec::load_model(name), small_options());
  }
  return profiles[name];
}

const profiles::LayerMeasurement& find(const profiles::ModelProfile& profile,
                                       const std::string& type, int tp_degree, double samples) {
  for (const auto& m :
       profile.types[static_cast<std::size_t>(profile.index_of(type))].measurements) {
    if (m.tp_degree == tp_degree && m.samples == samples) return m;
  }
  throw ConfigError("not measured");
}

class ModelProfiler : public testing::TestWithParam<const char*> {
 protected:
  const profiles::ModelProfile& profile() const { return profile_of(GetParam()); }
};

TEST_P(ModelProfiler, TimesEveryTypeInBothDirections) {
  ASSERT_EQ(profile().types.size(), 3U);
  for (const profiles::LayerTypeProfile& type : profile().types) {
    EXPECT_GE(type.measurements.size(), 2U);
    for (const profiles::LayerMeasurement& m : type.measurements) {
      EXPECT_GT(m.forward.value, 0) << type.type;
      EXPECT_GT(m.backward.value, 0) << type.type;
    }
  }
}

TEST_P(ModelProfiler, ParameterBytesAreTheSpecs) {
  const spec::ModelSpec model = spec::load_model(GetParam());
  for (int type = 0; type < 3; ++type) {
    const auto& layer = model.layer(model.first_layer_of_type(type));
    EXPECT_EQ(profile().types[static_cast<std::size_t>(type)].parameter_bytes.value,
              layer.num_params() * 4);
  }
}

TEST_P(ModelProfiler, ActivationsDoubleWithTheSamples) {
  const auto& one = find(profile(), "block", 1, 1);
  const auto& two = find(profile(), "block", 1, 2);
  EXPECT_GT(one.activation.value, 0);
  // All but the tables of rotary embeddings, which are a sample's length whatever the batch.
  const auto expect_twice = [&](Bytes small, Bytes large) {
    EXPECT_LE(large, 2 * small);
    EXPECT_GE(large + Bytes{2 * kRotaryTableBytes}, 2 * small);
  };
  expect_twice(one.activation, two.activation);
  expect_twice(one.activation_selective, two.activation_selective);
}

TEST_P(ModelProfiler, TensorParallelismHalvesABlocksActivations) {
  const auto& whole = find(profile(), "block", 1, 2);
  const auto& half = find(profile(), "block", 2, 2);
  EXPECT_NEAR(static_cast<double>(half.activation.value),
              static_cast<double>(whole.activation.value) / 2,
              0.05 * static_cast<double>(whole.activation.value));
}

TEST_P(ModelProfiler, SelectiveRecomputationKeepsLess) {
  const auto& m = find(profile(), "block", 1, 2);
  EXPECT_LT(m.activation_selective, m.activation);
  EXPECT_GE(m.selective_recompute.value, 0);
}

// Its output is made while the layer runs, its parameters' gradients before they are added up.
TEST_P(ModelProfiler, WorkspacesHoldWhatEveryLayerMakes) {
  const spec::ModelSpec model = spec::load_model(GetParam());
  const std::int64_t border = 2 * kShortLength * model.layers[1].shape.hidden_size * 4;
  const auto& m = find(profile(), "block", 1, 2);
  EXPECT_GE(m.forward_workspace.value, border);
  // At the end of the backward what was saved is gone.
  EXPECT_GE((m.backward_workspace + m.activation).value,
            2 * border + model.layers[1].num_params() * 4);
  // The head keeps no logits: only the labels that it was fed.
  EXPECT_EQ(find(profile(), "head", 1, 2).activation.value, 2 * kShortLength * 8);
}

TEST_P(ModelProfiler, SurvivesItsJson) {
  const OrderedJson json = profiles::model_profile_to_json(profile());
  const profiles::ModelProfile again =
      profiles::model_profile_from_json(parse_json(json.dump(), "test"), "test");
  EXPECT_EQ(again.types, profile().types);
  EXPECT_EQ(again.provenance, profile().provenance);
  EXPECT_NE(model_table(again).find("block"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Families, ModelProfiler, testing::Values("gpt2-tiny", "llama-tiny"), [](const auto& info) {
      return std::string(info.param).substr(0, std::string(info.param).find('-'));
    });

// Ranks are threads here; each has its own layers.
TEST(ProfileModel, WithOthersKnowsHowItsLayersSlowEachOther) {
  runtime::MemoryMeter::install();
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  std::vector<std::size_t> measurements(3);
  comm::run_rank_threads(3, [&](comm::World& world) {
    ModelProfileOptions options = small_options();
    options.ranks = &world;
    const profiles::ModelProfile profile = profile_model(model, options);
    ASSERT_EQ(profile.types.size(), 3U);
    for (const profiles::LayerTypeProfile& type : profile.types) {
      ASSERT_EQ(type.contention.size(), 3U) << type.type;  // 1, 2 and 3 ranks
      EXPECT_EQ(type.contention[0], (profiles::ContentionPoint{1, 1}));
      EXPECT_EQ(type.contention[2].ranks, 3);
      EXPECT_GE(type.contention[2].slowdown, type.contention[1].slowdown);
    }
    measurements[static_cast<std::size_t>(world.rank())] = profile.types[1].measurements.size();
  });
  EXPECT_GT(measurements[0], 0U);
  EXPECT_EQ(measurements[1], 0U);
}

TEST(ProfileModel, RefusesWhatCannotBeMeasured) {
  runtime::MemoryMeter::install();
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  const auto error_of = [&](const ModelProfileOptions& options) {
    return config_error_of([&] { profile_model(model, options); });
  };
  ModelProfileOptions options = small_options();
  options.seq_length = model.max_positions + 1;
  EXPECT_NE(error_of(options).find("--seq-length"), std::string::npos);

  options = small_options();
  options.tp_degrees = {static_cast<int>(model.layers[1].shape.num_heads) * 2};
  EXPECT_NE(error_of(options).find("--tp-degrees"), std::string::npos);

  options = small_options();
  options.microbatch_sizes = {0};
  EXPECT_NE(error_of(options).find("--microbatch-sizes"), std::string::npos);
}

}  // namespace
}  // namespace galvatron::profiler
