#include "galvatron/plan/memory_comparison.h"

#include <gtest/gtest.h>

namespace galvatron::plan {
namespace {

const MeasuredMemory kMeasured{{1 << 20}, {}, {2 << 20}, {3 << 20}, {4 << 20}};

TEST(MemoryComparison, IsReadBackFromFiles) {
  const OrderedJson json = to_json(kMeasured);
  EXPECT_EQ(json["optimizer_bytes"], 3 << 20);
  EXPECT_EQ(measured_memory_from_json(json), kMeasured);
  EXPECT_FALSE(measured_memory_from_json(Json()).has_value());
  EXPECT_FALSE(measured_memory_from_json({{"parameters_bytes", 1}}).has_value());
}

TEST(MemoryComparison, AddsUpWhatIsMeasuredAsOne) {
  RecordedPrediction prediction;
  prediction.rank_parts = {{},
                           {{"parameters", {1 << 20}},
                            {"gradients", {2 << 20}},
                            {"optimizer", {3 << 20}},
                            {"activations", {1 << 20}},
                            {"transient", {1 << 20}},
                            {"reserve", {50 << 20}}}};
  const std::string table = memory_comparison_table(3, 1, kMeasured, prediction);
  const auto says = [&table](const char* text) { return table.find(text) != std::string::npos; };
  EXPECT_TRUE(says("memory of rank 3")) << table;
  EXPECT_TRUE(says("activations and passing   2.00 MiB  4.00 MiB  2.000")) << table;
  EXPECT_TRUE(says("peak                      8.00 MiB  10.0 MiB  1.250")) << table;
  EXPECT_FALSE(says("master")) << table;
}

TEST(MemoryComparison, StandsAloneWithoutAPrediction) {
  const std::string table = memory_comparison_table(0, 0, kMeasured, {});
  EXPECT_EQ(table.find("predicted"), std::string::npos) << table;
  EXPECT_NE(table.find("10.0 MiB"), std::string::npos) << table;
}

}  // namespace
}  // namespace galvatron::plan
