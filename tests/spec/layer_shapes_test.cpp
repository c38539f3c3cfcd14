#include "galvatron/spec/layer_shapes.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::spec {
namespace {

TEST(LayerShapes, AreWhatPeopleCallThem) {
  const ModelSpec model = load_model("llama2-7b");
  EXPECT_EQ(shapes_to_json(layer_shapes(model.layer(1))).dump(),
            R"({"hidden_size":4096,"num_heads":32,"num_kv_heads":32,"head_size":128,)"
            R"("intermediate_size":11008,"parameters":202383360})");
  EXPECT_EQ(shapes_to_json(layer_shapes(model.layer(0))).dump(),
            R"({"hidden_size":4096,"vocab_size":32000,"parameters":131072000})");
  EXPECT_EQ(shapes_to_json(block_shapes(model)).dump(),
            R"({"hidden_size":4096,"num_heads":32,"num_kv_heads":32,"head_size":128,)"
            R"("intermediate_size":11008})");
}

TEST(LayerShapes, AWindowIsOneOfThem) {
  const Shapes windowed = layer_shapes(load_model("gemma2-2b").layer(1));
  const auto other = shape_difference(windowed, layer_shapes(load_model("gemma2-2b").layer(2)));
  ASSERT_TRUE(other);
  EXPECT_EQ(other->name, "sliding_window");
  EXPECT_EQ(other->recorded, 4096);
}

TEST(LayerShapes, TheFirstDifferenceIsNamed) {
  const Shapes small = block_shapes(load_model("llama2-7b"));
  const auto other = shape_difference(small, block_shapes(load_model("llama2-70b")));
  ASSERT_TRUE(other);
  EXPECT_EQ(other->name, "hidden_size");
  EXPECT_EQ(other->recorded, 4096);
  EXPECT_EQ(other->now, 8192);
  EXPECT_FALSE(shape_difference(small, small));
  EXPECT_FALSE(shape_difference({}, small)) << "nothing was recorded";
  EXPECT_EQ(shape_difference(small, {})->now, 0);
}

TEST(LayerShapes, AreReadBackInOrder) {
  const Shapes shapes = layer_shapes(load_model("qwen2.5-7b").layer(1));
  const Json json = {{"shapes", Json::parse(shapes_to_json(shapes).dump())}};
  JsonReader reader(json, "file");
  EXPECT_EQ(read_shapes(reader), shapes);
  const Json none = Json::object();
  JsonReader empty(none, "file");
  EXPECT_TRUE(read_shapes(empty).empty());
  const Json wrong = {{"shapes", {{"hiden_size", 3}}}};
  EXPECT_NE(config_error_of([&] {
              JsonReader bad(wrong, "file");
              read_shapes(bad);
            }).find("hidden_size"),
            std::string::npos);
}

}  // namespace
}  // namespace galvatron::spec
