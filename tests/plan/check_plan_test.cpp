// One test per rule, each with the whole sentence that a user reads.
#include "galvatron/plan/check_plan.h"

#include <functional>

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::plan {
namespace {

// Six layers: embedding, four blocks of four heads and two key/value heads, head. Not tied.
const spec::ModelSpec& llama() {
  static const spec::ModelSpec model = spec::load_model("llama-tiny");
  return model;
}
// Four layers, tied, vocabulary 509.
const spec::ModelSpec& gpt() {
  static const spec::ModelSpec model = spec::load_model("gpt2-tiny");
  return model;
}

Plan plain_plan(const spec::ModelSpec& model, int pp_degree = 1) {
  spec::JobSpec job;
  job.global_batch = 8;
  return uniform_plan(model, job, 8, {}, pp_degree, 2);
}

using Change = std::function<void(Plan&)>;

// What check_plan says of a plan that is valid but for `change`.
std::string problem(const spec::ModelSpec& model, const Change& change,
                    const CheckContext& context = {}) {
  Plan plan = plain_plan(model, 2);
  EXPECT_EQ(check_plan(plan, model, {8, 128}), std::nullopt);
  change(plan);
  return check_plan(plan, model, context).value_or("valid");
}

std::string layer_problem(const spec::ModelSpec& model, std::size_t layer,
                          const std::function<void(LayerStrategy&)>& change) {
  return problem(model, [&](Plan& plan) { change(plan.layers[layer]); });
}

TEST(CheckPlan, AnotherModel) {
  EXPECT_EQ(problem(llama(),
                    [](Plan& plan) {
                      plan.model = "llama2-7b";
                      plan.shapes.clear();
                    }),
            "the plan was made for model 'llama2-7b', not for 'llama-tiny'; search a plan for this "
            "model, or change \"model\" in the plan if it is the same model under another name");
  EXPECT_EQ(problem(llama(), [](Plan& plan) { plan.model = ""; }), "valid");
}

TEST(CheckPlan, FitsByShapesWhateverTheName) {
  EXPECT_EQ(problem(llama(), [](Plan& plan) { plan.model = "mine"; }), "valid");
  EXPECT_EQ(problem(llama(),
                    [](Plan& plan) {
                      plan.model = "mine";
                      plan.shapes[0].second = 4096;
                    }),
            "the plan was made for blocks of hidden_size 4096 (model 'mine'), those of model "
            "'llama-tiny' have 64; search a plan for this model");
}

TEST(CheckPlan, NumberOfLayers) {
  EXPECT_EQ(problem(llama(), [](Plan& plan) { plan.layers.pop_back(); }),
            "the plan has 5 layers, model 'llama-tiny' has 6, 4 of them blocks; the "
            "counts in \"layers\" must add up to that");
}

TEST(CheckPlan, WorldSize) {
  EXPECT_EQ(problem(llama(), [](Plan&) {}, {4, 0}),
            "the plan is for world_size 8, but 4 ranks are here; start 8 ranks or search a plan "
            "for 4");
  EXPECT_EQ(problem(llama(), [](Plan& plan) { plan.world_size = 0; }),
            "world_size 0 must be at least 1");
}

TEST(CheckPlan, PipelineDegree) {
  EXPECT_EQ(problem(llama(), [](Plan& plan) { plan.pipeline.degree = 3; }),
            "pp_degree 3 does not divide world_size 8; every stage needs as many ranks");
  EXPECT_EQ(problem(llama(), [](Plan& plan) { plan.pipeline.degree = 0; }),
            "pp_degree 0 must be at least 1");
}

TEST(CheckPlan, LayersPerStage) {
  const auto with_stages = [](std::vector<int> layers) {
    return problem(llama(), [&](Plan& plan) { plan.pipeline.layers_per_stage = layers; });
  };
  EXPECT_EQ(with_stages({6}),
            "layers_per_stage has 1 entries, pp_degree is 2; give one entry per stage");
  EXPECT_EQ(with_stages({2, 3}), "layers_per_stage adds up to 5, but the model has 6 layers");
  EXPECT_EQ(with_stages({6, 0}),
            "stage 1 has 0 layers; every stage needs at least 1, so pp_degree can be at most 6");
  EXPECT_EQ(with_stages({5, 1}), "valid");
}

TEST(CheckPlan, InterleavedStages) {
  const auto with_stages = [](int degree, std::vector<int> layers) {
    return problem(
        llama(), [&](Plan& plan) { plan.pipeline = {degree, ScheduleKind::kInterleaved, layers}; });
  };
  EXPECT_EQ(with_stages(2, {1, 2, 2, 1}), "valid");
  EXPECT_EQ(with_stages(2, {1, 1, 1, 1, 1, 1}), "valid");
  EXPECT_EQ(with_stages(1, {3, 3}),
            "schedule interleaved needs a pp_degree of at least 2, not 1; use 1f1b");
  EXPECT_EQ(with_stages(2, {3, 3}),
            "schedule interleaved with one stage on each of 2 pipeline ranks is 1f1b; use that, or "
            "give layers_per_stage 4 entries or more");
  EXPECT_EQ(with_stages(2, {2, 2, 2}),
            "layers_per_stage has 3 entries, which is no multiple of pp_degree 2; schedule "
            "interleaved gives every pipeline rank as many stages");
  EXPECT_EQ(with_stages(2, {2, 2, 2, 0}),
            "stage 3 has 0 layers; every stage needs at least 1, so pp_degree x stages per rank "
            "can be at most 6");
  EXPECT_EQ(problem(llama(), [](Plan& plan) { plan.pipeline.layers_per_stage = {1, 2, 2, 1}; }),
            "layers_per_stage has 4 entries, pp_degree is 2; give one entry per stage, or schedule "
            "interleaved, which runs several stages on a rank");
}

TEST(CheckPlan, Batch) {
  EXPECT_EQ(problem(llama(), [](Plan& plan) { plan.global_batch = 0; }),
            "global_batch 0 must be at least 1");
  EXPECT_EQ(problem(llama(), [](Plan& plan) { plan.num_microbatches = 0; }),
            "num_microbatches 0 must be at least 1");
  EXPECT_EQ(problem(llama(), [](Plan& plan) { plan.num_microbatches = 9; }),
            "num_microbatches 9 is more than the 8 samples of global_batch; use at most 8");
  EXPECT_EQ(problem(llama(), [](Plan& plan) { plan.global_batch = 7; }), "valid")
      << "a batch that does not divide is spread by balanced chunks";
}

TEST(CheckPlan, Degrees) {
  EXPECT_EQ(layer_problem(llama(), 2, [](LayerStrategy& s) { s.tp_degree = 0; }),
            "layer 2 (block.1): tp_degree 0 must be at least 1");
  EXPECT_EQ(layer_problem(llama(), 2, [](LayerStrategy& s) { s.ulysses_degree = -1; }),
            "layer 2 (block.1): ulysses_degree -1 must be at least 1");
  EXPECT_EQ(layer_problem(llama(), 0, [](LayerStrategy& s) { s.tp_degree = 3; }),
            "layer 0 (embedding): tp_degree 3 x ulysses_degree 1 = 3 does not divide the 4 ranks "
            "of a stage");
  EXPECT_EQ(
      layer_problem(llama(), 5, [](LayerStrategy& s) { s.tp_degree = 4, s.ulysses_degree = 2; }),
      "layer 5 (head): tp_degree 4 x ulysses_degree 2 = 8 does not divide the 4 ranks of a "
      "stage");
  EXPECT_EQ(
      layer_problem(llama(), 0, [](LayerStrategy& s) { s.tp_degree = s.ulysses_degree = 1 << 30; }),
      "layer 0 (embedding): tp_degree 1073741824 x ulysses_degree 1073741824 = "
      "1152921504606846976 does not divide the 4 ranks of a stage");
}

TEST(CheckPlan, StridedTp) {
  const auto strided = [&](int layer, int tp) {
    return layer_problem(llama(), layer, [&](LayerStrategy& s) {
      s.tp_degree = tp;
      s.tp_consecutive = false;
    });
  };
  EXPECT_EQ(strided(1, 2), "valid");
  EXPECT_EQ(strided(0, 4),
            "layer 0 (embedding): tp_consecutive must be true where tp_degree is 4 of the 4 ranks "
            "of a stage: there is only one way to place them");
  EXPECT_EQ(strided(1, 1),
            "layer 1 (block.0): tp_consecutive must be true where tp_degree is 1 of the 4 ranks of "
            "a stage: there is only one way to place them");
}

TEST(CheckPlan, DegreesThatTheRuntimeLacks) {
  EXPECT_EQ(layer_problem(llama(), 1, [](LayerStrategy& s) { s.cp_degree = 2; }),
            "layer 1 (block.0): cp_degree 2 is not supported yet; use 1, and ulysses_degree to "
            "split the sequence");
  EXPECT_EQ(layer_problem(llama(), 1, [](LayerStrategy& s) { s.ep_degree = 2; }),
            "layer 1 (block.0): ep_degree 2 is not supported yet; use 1");
}

TEST(CheckPlan, Heads) {
  EXPECT_EQ(layer_problem(llama(), 1, [](LayerStrategy& s) { s.ulysses_degree = 4; }),
            "layer 1 (block.0): tp_degree 1 x ulysses_degree 4 = 4 does not divide the 2 key/value "
            "heads; both split heads");
  EXPECT_EQ(layer_problem(llama(), 1, [](LayerStrategy& s) { s.tp_degree = 2; }), "valid");
  const spec::LayerSpec& block = gpt().layers[1];
  EXPECT_EQ(check_layer_strategy({3, 1}, block, 6).value_or("valid"),
            "tp_degree 3 x ulysses_degree 1 = 3 does not divide the 4 attention heads; both split "
            "heads");
  EXPECT_EQ(check_layer_strategy({2, 2}, block, 8), std::nullopt);
}

TEST(CheckPlan, EmbeddingAndHeadHaveNoHeads) {
  for (const std::size_t layer : {0, 5}) {
    EXPECT_EQ(layer_problem(llama(), layer, [](LayerStrategy& s) { s.ulysses_degree = 4; }),
              "valid");
    EXPECT_EQ(layer_problem(llama(), layer, [](LayerStrategy& s) { s.tp_degree = 4; }), "valid");
  }
}

TEST(CheckPlan, WidthsBelowTheTpDegree) {
  Json config = gpt().config;
  config["n_inner"] = 3;
  config["vocab_size"] = 3;
  const spec::ModelSpec narrow = spec::model_from_config(config, "narrow");
  EXPECT_EQ(check_layer_strategy({4, 1}, narrow.layers[1], 4).value_or("valid"),
            "tp_degree 4 is more than the intermediate size 3");
  EXPECT_EQ(check_layer_strategy({4, 1}, narrow.layers[0], 4).value_or("valid"),
            "tp_degree 4 is more than the vocabulary of 3");
  EXPECT_EQ(check_layer_strategy({4, 1}, narrow.layers[3], 4).value_or("valid"),
            "tp_degree 4 is more than the vocabulary of 3");
  EXPECT_EQ(check_layer_strategy({2, 1}, narrow.layers[1], 4), std::nullopt);
}

TEST(CheckPlan, UnevenVocabularyIsFine) {
  EXPECT_EQ(check_layer_strategy({4, 1}, gpt().layers[0], 4), std::nullopt)
      << "509 tokens over 4 ranks";
}

TEST(CheckPlan, ZeroStage) {
  EXPECT_EQ(layer_problem(llama(), 1, [](LayerStrategy& s) { s.zero_stage = 4; }),
            "layer 1 (block.0): zero_stage 4 is outside 0 .. 3");
  EXPECT_EQ(layer_problem(llama(), 1, [](LayerStrategy& s) { s.zero_stage = -1; }),
            "layer 1 (block.0): zero_stage -1 is outside 0 .. 3");
}

TEST(CheckPlan, ShardDegree) {
  const auto of_degree = [](int shards, int zero, int tp = 1) {
    LayerStrategy strategy{.tp_degree = tp, .zero_stage = zero, .shard_degree = shards};
    return check_layer_strategy(strategy, llama().layers[1], 8).value_or("valid");
  };
  EXPECT_EQ(of_degree(2, 0),
            "shard_degree 2 needs a zero_stage of 1, 2 or 3: without one nothing is sharded");
  EXPECT_EQ(of_degree(3, 2),
            "shard_degree 3 does not divide the 8 ranks that hold the same parameters (those of a "
            "stage over tp_degree 1); 0 shards over all of them");
  EXPECT_EQ(of_degree(8, 3, 2),
            "shard_degree 8 does not divide the 4 ranks that hold the same parameters (those of a "
            "stage over tp_degree 2); 0 shards over all of them");
  EXPECT_EQ(of_degree(-1, 3), "shard_degree -1 must be at least 0");
  for (const int shards : {0, 1, 2, 4, 8}) EXPECT_EQ(of_degree(shards, 1), "valid");
}

TEST(CheckPlan, RecomputeIsForBlocks) {
  EXPECT_EQ(layer_problem(llama(), 5, [](LayerStrategy& s) { s.recompute = Recompute::kFull; }),
            "layer 5 (head): recompute 'full' must be 'none' here: the head never keeps its "
            "logits");
  EXPECT_EQ(
      layer_problem(llama(), 0, [](LayerStrategy& s) { s.recompute = Recompute::kSelective; }),
      "layer 0 (embedding): recompute 'selective' must be 'none' here: an embedding keeps next to "
      "nothing");
  EXPECT_EQ(layer_problem(llama(), 1, [](LayerStrategy& s) { s.recompute = Recompute::kFull; }),
            "valid");
}

TEST(CheckPlan, SequenceLength) {
  EXPECT_EQ(problem(llama(), [](Plan&) {}, {0, 129}),
            "a sequence of 129 tokens is longer than the 128 positions of model 'llama-tiny'");
  EXPECT_EQ(problem(llama(), [](Plan& plan) { plan.layers[0].ulysses_degree = 4; }, {0, 3}),
            "layer 0 (embedding): a sequence of 3 tokens cannot be split 4 ways (tp_degree 1 x "
            "ulysses_degree 4)");
  EXPECT_EQ(problem(llama(), [](Plan& plan) { plan.layers[0].ulysses_degree = 4; }, {0, 5}),
            "valid")
      << "a sequence that does not divide is spread by balanced chunks";
}

TEST(CheckPlan, TheTargetsOfT5AreShorter) {
  // 40 tokens of input have targets of 10.
  const spec::ModelSpec t5 = spec::load_model("t5-tiny");
  const auto with_ulysses = [&](int layer, int degree) {
    return problem(t5,
                   [&](Plan& plan) {
                     plan.world_size = 32;
                     LayerStrategy& strategy = plan.layers[static_cast<std::size_t>(layer)];
                     strategy.ulysses_degree = degree;
                   },
                   {0, 40});
  };
  EXPECT_EQ(with_ulysses(0, 16), "valid");
  EXPECT_EQ(
      with_ulysses(3, 16),
      "layer 3 (decoder.embedding): a sequence of 10 tokens cannot be split 16 ways (tp_degree "
      "1 x ulysses_degree 16)");
}

TEST(CheckPlan, TiedEmbeddings) {
  EXPECT_EQ(layer_problem(gpt(), 0, [](LayerStrategy& s) { s.tp_degree = 2; }),
            "embedding and head share one weight, so their tp_degree must be equal, not 2 and 1");
  EXPECT_EQ(layer_problem(gpt(), 3, [](LayerStrategy& s) { s.zero_stage = 3; }),
            "embedding and head share one weight, so their zero_stage must be equal, not 0 and 3");
  const auto sharded = [](Plan& plan) {
    for (LayerStrategy& layer : plan.layers) layer.zero_stage = 3;
    plan.layers[3].shard_degree = 2;
  };
  EXPECT_EQ(
      problem(gpt(), sharded),
      "embedding and head share one weight, so their shard_degree must be equal, not 0 and 2");
  EXPECT_EQ(layer_problem(gpt(), 3, [](LayerStrategy& s) { s.ulysses_degree = 2; }), "valid");
  EXPECT_EQ(layer_problem(llama(), 0, [](LayerStrategy& s) { s.tp_degree = 2; }), "valid")
      << "weights of their own may be split differently";
}

TEST(RequireValidPlan, ThrowsTheSentenceWithItsTag) {
  Plan plan = plain_plan(llama());
  EXPECT_NO_THROW(require_valid_plan(plan, llama()));
  plan.global_batch = 0;
  EXPECT_EQ(config_error_of([&] { require_valid_plan(plan, llama()); }),
            "[plan] global_batch 0 must be at least 1");
}

// What a strategy means for images: each sentence names what cannot be divided.
std::string image_problem(const char* name, std::size_t layer, const LayerStrategy& strategy,
                          std::int64_t seq_length = 0) {
  const spec::ModelSpec model = spec::load_model(name);
  Plan plan = plain_plan(model);
  plan.layers[layer] = strategy;
  return check_plan(plan, model, {8, seq_length}).value_or("valid");
}

TEST(CheckPlan, WindowsAreDividedByTheHeadsOfTheirStage) {
  const LayerStrategy both{.tp_degree = 2, .ulysses_degree = 2};
  EXPECT_EQ(image_problem("swin-tiny", 1, both),
            "layer 1 (block.0): tp_degree 2 x ulysses_degree 2 = 4 does not divide the 2 attention "
            "heads; both split heads");
  EXPECT_EQ(image_problem("swin-tiny", 4, both), "valid") << "the second stage has four";
}

TEST(CheckPlan, MergesHaveNoAttentionToRecompute) {
  EXPECT_EQ(image_problem("swin-tiny", 3, {.recompute = Recompute::kSelective}),
            "layer 3 (merge.0): recompute 'selective' must be 'none' or 'full' here: merging "
            "patches has no attention");
  EXPECT_EQ(image_problem("swin-tiny", 3, {.recompute = Recompute::kFull}), "valid");
}

TEST(CheckPlan, GridsAreAsShortAsTheirShortestSide) {
  EXPECT_EQ(image_problem("swin-tiny", 3, {.tp_degree = 8}),
            "layer 3 (merge.0): a sequence of 4 tokens cannot be split 8 ways (tp_degree 8 x "
            "ulysses_degree 1)")
      << "16 come in, 4 go out";
}

TEST(CheckPlan, ClassesAndImagesHaveTheirSizes) {
  const spec::ModelSpec model = spec::load_model("vit-tiny");
  LayerStrategy sixteen{.tp_degree = 16};
  EXPECT_EQ(check_layer_strategy(sixteen, model.layers.back(), 16).value_or("valid"),
            "tp_degree 16 is more than the classes of 10");
  EXPECT_EQ(image_problem("vit-tiny", 0, {.tp_degree = 8}, 17), "valid") << "17 tokens in 8 parts";
  EXPECT_EQ(image_problem("vit-tiny", 0, {}, 32),
            "images of 8 x 8 make 17 tokens in model 'vit-tiny', not 32");
}

// "5 tp_degree", "- pp_degree": layer and field that find_problem names.
std::string place_of_problem(const spec::ModelSpec& model, const Change& change,
                             const CheckContext& context = {}) {
  Plan plan = plain_plan(model, 2);
  change(plan);
  const auto found = find_problem(plan, model, context);
  if (!found) return "valid";
  EXPECT_EQ(found->sentence, check_plan(plan, model, context));
  return (found->layer ? std::to_string(*found->layer) : "-") + " " + found->field;
}

TEST(FindProblem, NamesTheLayerAndTheField) {
  const auto of_layer = [](auto change) {
    return place_of_problem(llama(), [&](Plan& plan) { change(plan.layers[3]); });
  };
  EXPECT_EQ(of_layer([](LayerStrategy& layer) { layer.tp_degree = 3; }), "3 tp_degree");
  EXPECT_EQ(of_layer([](LayerStrategy& layer) { layer.zero_stage = 4; }), "3 zero_stage");
  EXPECT_EQ(of_layer([](LayerStrategy& layer) { layer.cp_degree = 2; }), "3 cp_degree");
  EXPECT_EQ(of_layer([](LayerStrategy& layer) { layer.shard_degree = 2; }), "3 shard_degree");
  EXPECT_EQ(of_layer([](LayerStrategy& layer) { layer.tp_consecutive = false; }),
            "3 tp_consecutive");
  EXPECT_EQ(
      place_of_problem(llama(), [](Plan& plan) { plan.layers[0].recompute = Recompute::kFull; }),
      "0 recompute");
  EXPECT_EQ(
      place_of_problem(llama(), [](Plan& plan) { plan.layers[2].ulysses_degree = 2; }, {8, 1}),
      "2 tp_degree");
}

TEST(FindProblem, OfTheWholePlanNamesTheFieldAlone) {
  EXPECT_EQ(place_of_problem(llama(), [](Plan& plan) { plan.num_microbatches = 99; }),
            "- num_microbatches");
  EXPECT_EQ(place_of_problem(llama(), [](Plan& plan) { plan.pipeline.degree = 3; }), "- pp_degree");
  EXPECT_EQ(place_of_problem(llama(), [](Plan& plan) { plan.pipeline.layers_per_stage = {3, 4}; }),
            "- layers_per_stage");
  EXPECT_EQ(place_of_problem(
                llama(), [](Plan& plan) { plan.pipeline.schedule = ScheduleKind::kInterleaved; }),
            "- schedule");
  EXPECT_EQ(place_of_problem(llama(), [](Plan&) {}, {4, 0}), "- world_size");
  EXPECT_EQ(place_of_problem(llama(), [](Plan& plan) { plan.layers.pop_back(); }), "- ");
}

TEST(FindProblem, OfATiedWeightNamesTheLayerThatDiffers) {
  EXPECT_EQ(place_of_problem(gpt(), [](Plan& plan) { plan.layers[0].zero_stage = 1; }),
            "3 zero_stage");
}

}  // namespace
}  // namespace galvatron::plan
