#include "galvatron/profiles/model_profile.h"

#include <gtest/gtest.h>

#include "galvatron/base/error.h"
#include "galvatron/profiles/analytic.h"

#include "config_error.h"

namespace galvatron::profiles {
namespace {

LayerMeasurement measurement(int tp_degree, double samples, double forward_ms,
                             std::int64_t activation) {
  LayerMeasurement out;
  out.tp_degree = tp_degree;
  out.samples = samples;
  out.forward = {forward_ms};
  out.backward = {2 * forward_ms};
  out.selective_recompute = {forward_ms / 10};
  out.activation = {activation};
  out.activation_selective = {activation / 2};
  out.forward_workspace = {100};
  out.backward_workspace = {200};
  return out;
}

// Block: 1 + 2 * samples ms at tp 1; embedding and head one point each.
ModelProfile profile_of(const std::string& model) {
  ModelProfile out;
  out.model = model;
  out.seq_length = 64;
  out.precision = spec::Precision::kFp32;
  out.types = {{"embedding", {}, {measurement(1, 1, 0.5, 10)}},
               {"block", {}, {measurement(1, 1, 3, 1000), measurement(1, 4, 9, 4000)}},
               {"head", {}, {measurement(1, 1, 5, 0)}}};
  return out;
}

ModelProfile prepared(std::int64_t seq_length = 64) {
  ModelProfile out = profile_of("gpt2-tiny");
  out.prepare(spec::load_model("gpt2-tiny"), seq_length, spec::Precision::kFp32);
  return out;
}

TEST(ModelProfile, InterpolatesOverSamples) {
  const ModelProfile profile = prepared();
  EXPECT_NEAR(profile.lookup(1, 1, 1).forward.value, 3, 1e-9);
  EXPECT_NEAR(profile.lookup(1, 1, 2).forward.value, 5, 1e-9);
  EXPECT_NEAR(profile.lookup(1, 1, 2).backward.value, 10, 1e-9);
  EXPECT_EQ(profile.lookup(1, 1, 2).activation.value, 2000);
  EXPECT_EQ(profile.lookup(1, 1, 2).activation_selective.value, 1000);
}

TEST(ModelProfile, UlyssesAsksForFractionsOfASample) {
  const ModelProfile profile = prepared();
  EXPECT_NEAR(profile.lookup(1, 1, 0.5).forward.value, 2, 1e-6);  // half the work, all the overhead
  EXPECT_EQ(profile.lookup(1, 1, 0.5).activation.value, 500);
  EXPECT_EQ(profile.lookup(1, 1, 0).forward.value, 0);
}

TEST(ModelProfile, AMeasuredDegreeIsUsedAsItIs) {
  ModelProfile profile = profile_of("gpt2-tiny");
  profile.types[1].measurements.push_back(measurement(2, 1, 1.75, 600));
  profile.prepare(spec::load_model("gpt2-tiny"), 64, spec::Precision::kFp32);
  EXPECT_DOUBLE_EQ(profile.lookup(1, 2, 1).forward.value, 1.75);
  EXPECT_EQ(profile.lookup(1, 2, 1).activation.value, 600);
}

TEST(ModelProfile, AMissingDegreeIsScaledByShapes) {
  const ModelProfile profile = prepared();
  const LayerMeasurement one = profile.lookup(1, 1, 1), two = profile.lookup(1, 2, 1);
  EXPECT_NEAR(two.forward.value, one.forward.value / 2, 1e-9);
  EXPECT_EQ(two.activation.value, one.activation.value / 2);
}

TEST(ModelProfile, LongerSequencesGrowFasterThanTheirTokens) {
  const LayerMeasurement measured = prepared().lookup(1, 1, 1);
  const LayerMeasurement longer = prepared(128).lookup(1, 1, 1);
  EXPECT_GT(longer.forward.value, 2 * measured.forward.value);  // attention is quadratic
  EXPECT_LT(longer.forward.value, 4 * measured.forward.value);
  EXPECT_EQ(longer.activation.value, 2 * measured.activation.value);
}

TEST(ModelProfile, DocumentsTakeLessTimeAndTheSameMemory) {
  ModelProfile profile = profile_of("gpt2-tiny");
  profile.prepare(spec::load_model("gpt2-tiny"), 64, spec::Precision::kFp32,
                  /*attended_share=*/0.25);
  const LayerMeasurement whole = prepared().lookup(1, 1, 1), apart = profile.lookup(1, 1, 1);
  EXPECT_LT(apart.forward, whole.forward);
  EXPECT_GT(apart.forward.value, whole.forward.value / 2);
  EXPECT_LT(apart.backward, whole.backward);
  EXPECT_EQ(apart.activation, whole.activation);
  EXPECT_EQ(profile.lookup(0, 1, 1).forward, prepared().lookup(0, 1, 1).forward);
  EXPECT_EQ(profile.extrapolations({1}),
            std::vector<std::string>{"attention in documents of 16 tokens: from whole samples "
                                     "measured, by their shapes"});
}

TEST(ModelProfile, SaysWhatItCarriesOver) {
  using Texts = std::vector<std::string>;
  EXPECT_EQ(prepared().extrapolations({1}), Texts{});
  EXPECT_EQ(prepared(128).extrapolations({1, 1}),
            Texts{"layers at 128 tokens: from 64 measured, by their shapes"});
  EXPECT_EQ(prepared().extrapolations({4, 1, 2}),
            Texts{"layers at tp_degree 2, 4: from tp_degree 1 measured, by their shapes"});
  const ModelProfile computed = analytic_model_profile(
      spec::load_model("gpt2-tiny"), 32, spec::Precision::kBf16, {"d", 1e6, 0.5, 1e5, 0.25, {}});
  EXPECT_EQ(computed.extrapolations({4}), Texts{});
}

TEST(ModelProfile, AnalyticLookupsAreExact) {
  const spec::ModelSpec model = spec::load_model("llama-tiny");
  const DeviceSpec device{"d", 1e6, 0.5, 1e5, 0.25, {}};
  const ModelProfile profile = analytic_model_profile(model, 32, spec::Precision::kBf16, device);
  const LayerMeasurement expected =
      analytic_layer(model.layers[1], model, 32, spec::Precision::kBf16, device, 2, 1.5);
  EXPECT_EQ(profile.lookup(1, 2, 1.5), expected);
}

// The profile of a model, recorded as the profiler does.
ModelProfile recorded_profile(const spec::ModelSpec& model) {
  ModelProfile out = profile_of(model.name);
  for (std::size_t type = 0; type < out.types.size(); ++type) {
    const auto& layer = model.layer(model.first_layer_of_type(static_cast<int>(type)));
    out.types[type].shapes = spec::layer_shapes(layer);
    out.types[type].parameter_bytes = {layer.num_params() *
                                       spec::compute_bytes(spec::Precision::kFp32)};
  }
  return out;
}

spec::ModelSpec changed_gpt(const char* key, int value, const std::string& name) {
  Json config = spec::load_model("gpt2-tiny").config;
  config[key] = value;
  return spec::model_from_config(config, name);
}

TEST(ModelProfile, ServesEveryModelOfItsShapes) {
  const spec::ModelSpec measured = spec::load_model("gpt2-tiny");
  const spec::ModelSpec longer = changed_gpt("n_layer", 24, "deep");
  for (const bool with_shapes : {true, false}) {
    ModelProfile profile = recorded_profile(measured);
    if (!with_shapes) {  // a file from before they were recorded
      for (LayerTypeProfile& type : profile.types) type.shapes.clear();
    }
    profile.prepare(longer, 64, spec::Precision::kFp32);
    EXPECT_NEAR(profile.lookup(1, 1, 1).forward.value, 3, 1e-9);
  }
}

TEST(ModelProfile, RefusesOtherShapesWithTheNumbers) {
  const spec::ModelSpec measured = spec::load_model("gpt2-tiny");
  const std::int64_t hidden = measured.layer(1).shape.hidden_size;
  const auto refusal = [&](ModelProfile profile, const spec::ModelSpec& model) {
    return config_error_of([&] { profile.prepare(model, 64, spec::Precision::kFp32); });
  };
  const spec::ModelSpec wider = changed_gpt("n_embd", static_cast<int>(2 * hidden), "gpt2-tiny");
  EXPECT_EQ(refusal(recorded_profile(measured), wider),
            detail::concat("[profile] the profile of 'gpt2-tiny' has a layer type 'embedding' of "
                           "hidden_size ",
                           hidden, ", that of model 'gpt2-tiny' has ", 2 * hidden,
                           "; run `galvatron profile-model --model gpt2-tiny`"));
  ModelProfile older = recorded_profile(measured);
  for (LayerTypeProfile& type : older.types) type.shapes.clear();
  EXPECT_NE(refusal(older, wider).find(" bytes of parameters, that of model"), std::string::npos);
}

TEST(ModelProfile, RefusesAnotherModelPrecisionOrAMissingType) {
  const spec::ModelSpec gpt = spec::load_model("gpt2-tiny");
  ModelProfile other = profile_of("llama-tiny");
  EXPECT_NE(
      config_error_of([&] { other.prepare(gpt, 64, spec::Precision::kFp32); }).find("llama-tiny"),
      std::string::npos);
  ModelProfile profile = profile_of("gpt2-tiny");
  EXPECT_NE(config_error_of([&] { profile.prepare(gpt, 64, spec::Precision::kBf16); }).find("bf16"),
            std::string::npos);
  profile.types.pop_back();
  EXPECT_NE(
      config_error_of([&] { profile.prepare(gpt, 64, spec::Precision::kFp32); }).find("'head'"),
      std::string::npos);
}

}  // namespace
}  // namespace galvatron::profiles
