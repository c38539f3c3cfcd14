#include "galvatron/spec/model_table.h"

#include <gtest/gtest.h>

#include "galvatron/base/table.h"

namespace galvatron::spec {
namespace {

TEST(ModelToJson, SaysTheNumbers) {
  const OrderedJson expected = {{"name", "llama3.2-1b"},  {"family", "llama"},
                                {"task", "next-token"},   {"num_params", 1'235'814'400},
                                {"num_layers", 16},       {"hidden_size", 2048},
                                {"num_heads", 32},        {"num_kv_heads", 8},
                                {"head_size", 64},        {"intermediate_size", 8192},
                                {"vocab_size", 128256},   {"max_positions", 131072},
                                {"tied_embeddings", true}};
  EXPECT_EQ(model_to_json(load_model("llama3.2-1b")), expected);
}

TEST(ModelToJson, LeavesOutWhatThereIsNot) {
  EXPECT_FALSE(model_to_json(load_model("t5-small")).contains("max_positions"));
  const OrderedJson vit = model_to_json(load_model("vit-base"));
  EXPECT_FALSE(vit.contains("vocab_size"));
  EXPECT_EQ(vit["num_classes"], 1000);
}

TEST(ModelsTable, HasARowForEach) {
  TextTable expected({"model", "family", "parameters", "layers", "hidden", "heads", "kv heads",
                      "mlp", "vocabulary", "positions"});
  expected.align(1, TextTable::Align::kLeft);
  expected.add_row({"gpt2", "gpt", "124 M", "12", "768", "12", "12", "3072", "50257", "1024"});
  expected.add_row({"t5-3b", "t5", "2.85 B", "48", "1024", "32", "32", "16384", "32128", "any"});
  expected.add_row({"swin-tiny", "swin", "53.3 K", "4", "24", "2", "2", "48", "-", "16"});
  EXPECT_EQ(models_table({load_model("gpt2"), load_model("t5-3b"), load_model("swin-tiny")}),
            expected.to_string());
}

TEST(ModelTable, SaysParametersTwice) {
  EXPECT_NE(model_table(load_model("llama2-13b")).find("13015864320 (13.0 B)"), std::string::npos);
}

}  // namespace
}  // namespace galvatron::spec
