#include "galvatron/spec/config_features.h"

#include <gtest/gtest.h>

#include "config_error.h"

namespace galvatron::spec {
namespace {

// As transformers' ACT2FN has them.
TEST(ParseActivation, KnowsTheNamesOfOneFunction) {
  const auto parse = [](const std::string& name) { return parse_activation(name, "act", "mine"); };
  for (const char* name : {"gelu", "gelu_python"}) EXPECT_EQ(parse(name), Activation::kGelu);
  for (const char* name :
       {"gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh"}) {
    EXPECT_EQ(parse(name), Activation::kGeluTanh) << name;
  }
  EXPECT_EQ(parse("swish"), Activation::kSilu);
  EXPECT_NE(config_error_of([&] { parse("quick_gelu"); }).find("act = 'quick_gelu'"),
            std::string::npos);
}

}  // namespace
}  // namespace galvatron::spec
