#include "galvatron/profiles/analytic.h"

#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "galvatron/profiles/device.h"

namespace galvatron::profiles {
namespace {

// Time is FLOPs: no memory traffic, no overhead.
DeviceSpec flops_only() { return {"flops", 1e6, 1, 1e300, 0, {}}; }

const spec::LayerSpec& layer(const spec::ModelSpec& model, int type) {
  return model.layer(model.first_layer_of_type(type));
}

LayerMeasurement at(const spec::ModelSpec& model, int type, int tp_degree, double samples,
                    spec::Precision precision = spec::Precision::kFp32) {
  return analytic_layer(layer(model, type), model, 64, precision, flops_only(), tp_degree, samples);
}

class AnalyticLayer : public testing::TestWithParam<const char*> {};

TEST_P(AnalyticLayer, ForwardIsTheFlopsOfTheSpec) {
  const spec::ModelSpec model = spec::load_model(GetParam());
  for (int type = 0; type < 3; ++type) {
    const double flops = spec::forward_flops(layer(model, type), model, 64);
    EXPECT_NEAR(at(model, type, 1, 3).forward.value, 3 * flops / 1e6, 1e-9 * (1 + flops));
    // The fused attention kernel computes the scores again: five products for two.
    const double again = at(model, type, 1, 3).selective_recompute.value / 2;
    EXPECT_NEAR(at(model, type, 1, 3).backward.value, 6 * flops / 1e6 + again, 1e-9 * (1 + flops));
  }
}

TEST_P(AnalyticLayer, TensorParallelismDividesTheWork) {
  const spec::ModelSpec model = spec::load_model(GetParam());
  for (int type = 1; type < 3; ++type) {
    EXPECT_NEAR(at(model, type, 2, 4).forward.value, at(model, type, 1, 4).forward.value / 2, 1e-9);
    EXPECT_LE(at(model, type, 2, 4).activation, at(model, type, 1, 4).activation);
  }
  EXPECT_EQ(at(model, 1, 2, 4).activation.value, at(model, 1, 1, 4).activation.value / 2);
}

TEST_P(AnalyticLayer, SelectiveRecomputeKeepsLess) {
  const spec::ModelSpec model = spec::load_model(GetParam());
  const LayerMeasurement block = at(model, 1, 1, 2);
  EXPECT_LT(block.activation_selective, block.activation);
  EXPECT_GT(block.selective_recompute.value, 0);
  EXPECT_LT(block.selective_recompute, block.forward);
}

TEST(AnalyticLayer, ImagesAreWorkByThePatchAndTheSample) {
  for (const char* name : {"vit-tiny", "swin-tiny"}) {
    const spec::ModelSpec model = spec::load_model(name);
    for (int type = 0; type < static_cast<int>(model.type_names().size()); ++type) {
      const double flops = spec::forward_flops(layer(model, type), model, model.fixed_seq_length);
      EXPECT_NEAR(at(model, type, 1, 3).forward.value, 3 * flops / 1e6, 1e-9 * (1 + flops))
          << name << " " << type;
    }
  }
}

// One block of llama2-7b on a rank, forward and backward, ms.
LayerMeasurement block_of_7b(const KernelRates& kernels, std::int64_t seq_length, int tp_degree,
                             double samples) {
  const spec::ModelSpec model = spec::load_model("llama2-7b");
  return analytic_layer(layer(model, 1), model, seq_length, spec::Precision::kBf16,
                        {"rates", 1e12, 0.5, 1e300, 0, kernels}, tp_degree, samples);
}

TEST(KernelRates, NarrowProductsTakeLonger) {
  KernelRates narrow;
  narrow.matmul_half = 128;
  const auto slower = [&](int tp) {
    return block_of_7b(narrow, 2048, tp, 1).forward.value /
           block_of_7b({}, 2048, tp, 1).forward.value;
  };
  EXPECT_GT(slower(1), 1);
  EXPECT_GT(slower(8), slower(1));
  EXPECT_LT(slower(8), 1.5);
}

TEST(KernelRates, AttentionHasRatesOfItsOwn) {
  KernelRates slow;
  slow.attention_forward = 0.5;
  slow.attention_backward = 0.25;
  const LayerMeasurement plain = block_of_7b({}, 4096, 1, 1), one = block_of_7b(slow, 4096, 1, 1);
  const double attention = plain.selective_recompute.value;
  EXPECT_NEAR(one.selective_recompute.value, 2 * attention, 1e-9);
  EXPECT_NEAR(one.forward.value, plain.forward.value + attention, 1e-9);
  EXPECT_NEAR(one.backward.value, plain.backward.value + 3 * 2.5 * attention, 1e-9);
}

TEST(KernelRates, ShortSequencesAndFewHeadsFillNoKernel) {
  KernelRates rates;
  rates.attention_half_keys = 2048 / 2;  // of a causal query's keys on average
  EXPECT_NEAR(block_of_7b(rates, 2048, 1, 1).selective_recompute.value,
              2 * block_of_7b({}, 2048, 1, 1).selective_recompute.value, 1e-9);
  rates = {};
  rates.attention_half_tokens = 2048 * 32;
  EXPECT_NEAR(block_of_7b(rates, 2048, 1, 1).selective_recompute.value,
              2 * block_of_7b({}, 2048, 1, 1).selective_recompute.value, 1e-9);
}

// Work of a block in documents of a quarter of the samples.
LayerMeasurement in_quarters(const spec::ModelSpec& model, int layer_index, double share = 0.25) {
  return analytic_layer(model.layer(layer_index), model, 2048, spec::Precision::kBf16, flops_only(),
                        1, 1, share);
}

TEST(AnalyticDocuments, AttendAsShorterSamplesDoAndKeepWhatWholeOnesDo) {
  const spec::ModelSpec model = spec::load_model("llama2-7b");
  const LayerMeasurement whole = in_quarters(model, 1, 1), apart = in_quarters(model, 1);
  const LayerMeasurement four = analytic_layer(model.layer(1), model, 512, spec::Precision::kBf16,
                                               flops_only(), 1, /*samples=*/4);
  EXPECT_NEAR(apart.forward.value, four.forward.value, 1e-9 * four.forward.value);
  EXPECT_NEAR(apart.backward.value, four.backward.value, 1e-9 * four.backward.value);
  EXPECT_NEAR(apart.selective_recompute.value, whole.selective_recompute.value / 4, 1e-9);
  EXPECT_LT(apart.forward, whole.forward);
  EXPECT_EQ(apart.activation, whole.activation);
  EXPECT_EQ(apart.forward_workspace, whole.forward_workspace);
  EXPECT_EQ(in_quarters(model, 0).forward, in_quarters(model, 0, 1).forward);
}

TEST(AnalyticDocuments, AreAMaskWhereAttentionDrops) {
  Json config = spec::load_model("gpt2").config;
  config["attn_pdrop"] = 0.1;
  config["n_positions"] = 2048;
  const spec::ModelSpec model = spec::model_from_config(config, "dropping");
  EXPECT_EQ(in_quarters(model, 1), in_quarters(model, 1, 1));
}

TEST(AnalyticDocuments, OfT5AreApartInCrossAttentionToo) {
  const spec::ModelSpec model = spec::load_model("t5-3b");
  Json config = model.config;
  config["dropout_rate"] = 0.0;
  const spec::ModelSpec plain = spec::model_from_config(config, "plain");
  const int decoder = plain.num_layers() - 2;
  const double saved =
      in_quarters(plain, decoder, 1).forward.value - in_quarters(plain, decoder).forward.value;
  spec::ModelSpec alone = plain;
  alone.layers[static_cast<std::size_t>(decoder)].shape.cross_attention = false;
  EXPECT_GT(saved, in_quarters(alone, decoder, 1).forward.value -
                       in_quarters(alone, decoder).forward.value);
}

TEST(KernelRates, AreThoseOfTheGeneration) {
  EXPECT_EQ(kernel_rates("NVIDIA A100 80GB SXM"), kernel_rates("A100-40G"));
  EXPECT_EQ(kernel_rates("NVIDIA H200 141GB SXM"), kernel_rates("NVIDIA H100 80GB HBM3"));
  EXPECT_NE(kernel_rates("NVIDIA H100 80GB HBM3"), kernel_rates("NVIDIA A100 80GB SXM"));
  EXPECT_EQ(kernel_rates("GB200"), kernel_rates("NVIDIA B200 180GB"));
  EXPECT_EQ(kernel_rates("a device of next year"), kernel_rates("Ascend 910B 64GB"));
}

TEST(KernelRates, FewHeadsIdleInEachDirectionByThemselves) {
  KernelRates rates;
  rates.attention_half_tokens_backward = 2048 * 32;
  const LayerMeasurement plain = block_of_7b({}, 2048, 1, 1), idle = block_of_7b(rates, 2048, 1, 1);
  const double attention = plain.selective_recompute.value;
  EXPECT_NEAR(idle.forward.value, plain.forward.value, 1e-9);
  EXPECT_NEAR(idle.backward.value, plain.backward.value + 2.5 * attention, 1e-9);
}

// No cliffs on any named device: what grows takes longer, never many times longer.
class Sheet : public testing::TestWithParam<std::string> {
 protected:
  static double block_ms(const DeviceSpec& device, const Json& config, std::int64_t seq_length,
                         int tp_degree, double samples) {
    const spec::ModelSpec model = spec::model_from_config(config, "scaled", {});
    const LayerMeasurement block = analytic_layer(
        layer(model, 1), model, seq_length, spec::Precision::kFp16, device, tp_degree, samples);
    return (block.forward + block.backward).value;
  }
  static void expect_between(double ratio, double low, double high, const std::string& what) {
    EXPECT_GE(ratio, low - 1e-9) << what;
    EXPECT_LE(ratio, high + 1e-9) << what;
  }
};

TEST_P(Sheet, GrowsSteadily) {
  const DeviceSpec device = find_device(GetParam()).node.device(spec::Precision::kFp16);
  Json config = spec::load_model("llama2-7b").config;
  for (const double dropout : {0.0, 0.1}) {
    Json gpt = spec::load_model("gpt2-1.5b").config;
    gpt["attn_pdrop"] = dropout;
    for (const std::int64_t seq : {512, 1024, 2048, 4096}) {
      for (const int tp : {1, 2, 4}) {
        for (Json model : {gpt, config}) {
          const std::string what = fmt::format("{} x {}, tp {}, dropout {}",
                                               model["model_type"].dump(), seq, tp, dropout);
          const double once = block_ms(device, model, seq, tp, 2);
          expect_between(block_ms(device, model, seq, tp, 4) / once, 1, 2, what + ", samples");
          expect_between(block_ms(device, model, 2 * seq, tp, 2) / once, 1, 4, what + ", length");
          if (model["model_type"] != "gpt2" || tp < 4) {
            expect_between(once / block_ms(device, model, seq, 2 * tp, 2), 1, 2, what + ", tp");
          }
          const std::string width = model.contains("n_embd") ? "n_embd" : "hidden_size";
          const std::string heads = model.contains("n_head") ? "n_head" : "num_attention_heads";
          Json wide = model;
          for (const std::string& key : {width, heads}) wide[key] = 2 * model[key].get<int>();
          if (model.contains("intermediate_size"))
            wide["intermediate_size"] = 2 * model["intermediate_size"].get<int>();
          if (model.contains("num_key_value_heads"))
            wide["num_key_value_heads"] = 2 * model["num_key_value_heads"].get<int>();
          expect_between(block_ms(device, wide, seq, tp, 2) / once, 1.3, 4, what + ", width");
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, Sheet, testing::ValuesIn(device_names()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// Where no fused kernel runs the scores are written: attention that drops costs memory traffic.
TEST(AnalyticLayer, AttentionThatDropsWritesItsScores) {
  Json config = spec::load_model("gpt2-1.5b").config;
  const auto forward = [&](double dropout) {
    config["attn_pdrop"] = dropout;
    const spec::ModelSpec model = spec::model_from_config(config, "gpt", {});
    const DeviceSpec device{"traffic", 1e300, 1, 1e6, 0, {}};
    return analytic_layer(layer(model, 1), model, 1024, spec::Precision::kBf16, device, 1, 1)
        .forward.value;
  };
  const double scores = config.at("n_head").get<double>() * 1024 * 1024;
  EXPECT_NEAR(forward(0.1) - forward(0), 12 * scores / 1e6, 1e-6);
}

// Blocks of queries as long as the window: the first is causal, every other one meets two windows.
TEST(AnalyticLayer, ASlidingWindowComputesTwoOfThemForAQuery) {
  Json config = spec::load_model("mistral-7b").config;
  const auto attention = [&](const Json& window) {
    config["sliding_window"] = window;
    const spec::ModelSpec model = spec::model_from_config(config, "mistral", {});
    return analytic_layer(layer(model, 1), model, 8192, spec::Precision::kBf16, flops_only(), 1, 1)
        .selective_recompute.value;
  };
  const double whole = attention(nullptr);  // 4096 keys for a query
  EXPECT_NEAR(attention(1024) / whole, (1024 * 512 + 7 * 1024 * 2048) / (8192 * 4096.0), 1e-9);
  EXPECT_EQ(attention(8192), whole);
}

TEST(AnalyticLayer, CappedScoresExistABlockAtATime) {
  Json config = spec::load_model("gemma2-2b").config;
  const auto block = [&](const Json& cap) {
    config["attn_logit_softcapping"] = cap;
    const spec::ModelSpec model = spec::model_from_config(config, "gemma", {});
    return analytic_layer(model.layer(2), model, 1024, spec::Precision::kBf16, flops_only(), 1, 1);
  };
  const LayerMeasurement capped = block(50.0), plain = block(nullptr);
  EXPECT_EQ(capped.activation, plain.activation);
  EXPECT_EQ((capped.forward_workspace - plain.forward_workspace).value, 8 * 1024 * 1024 * (4 + 2));
}

INSTANTIATE_TEST_SUITE_P(Tiny, AnalyticLayer, testing::Values("gpt2-tiny", "llama-tiny"));

TEST(AnalyticLayer, BlockActivationsByHand) {
  // gpt2-tiny: H 64, 4 heads of 16, inner 256, no dropout. Per token in fp32: three H (two norm
  // results and the middle), qkv 3 H, context H, two inner; 4 statistics; 4 log-sum-exps.
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  const std::int64_t per_token = 4 * (3 * 64 + 3 * 64 + 64 + 2 * 256) + 4 * 4 + 4 * 4;
  EXPECT_EQ(at(model, 1, 1, 2).activation.value, 2 * 64 * per_token);
}

TEST(AnalyticLayer, TheHeadKeepsNothing) {
  const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  EXPECT_EQ(at(model, 2, 1, 4).activation.value, 0);
  EXPECT_GT(at(model, 2, 1, 4).backward_workspace.value, 0);
}

TEST(AnalyticLayer, HalfPrecisionHalvesActivations) {
  const spec::ModelSpec model = spec::load_model("llama-tiny");
  const double full = static_cast<double>(at(model, 1, 1, 1).activation.value);
  const double half =
      static_cast<double>(at(model, 1, 1, 1, spec::Precision::kBf16).activation.value);
  EXPECT_NEAR(half / full, 0.5, 0.02);  // statistics stay in fp32
}

TEST(AnalyticHardware, TakesTheClusterAsItIs) {
  const spec::ClusterSpec cluster{"two nodes", 2, 8, gibibytes(80), "H100"};
  const HardwareProfile profile = analytic_hardware_profile(
      cluster, flops_only(), {{0.01, 4e8}, {0.02, 5e7}, 1.2, 0, 0, gibibytes(1)});
  EXPECT_EQ(profile.world_size, 16);
  EXPECT_EQ(profile.ranks_per_node, 8);
  EXPECT_EQ(profile.device_memory, gibibytes(80));
  EXPECT_EQ(profile.memory_reserve, gibibytes(1));
  EXPECT_LT(profile.group_time(Collective::kAllReduce, {8, 1}, mebibytes(64)),
            profile.group_time(Collective::kAllReduce, {16, 1}, mebibytes(64)));
}

}  // namespace
}  // namespace galvatron::profiles
