#include "galvatron/planning/chart.h"

#include <gtest/gtest.h>

namespace galvatron::planning {
namespace {

using Ticks = std::vector<double>;

TEST(NiceTicks, AreRoundAndInside) {
  EXPECT_EQ(nice_ticks(0, 10, 5), (Ticks{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(nice_ticks(29.6, 80, 6), (Ticks{30, 40, 50, 60, 70, 80}));
  EXPECT_EQ(nice_ticks(-3, 4, 4), (Ticks{-2, 0, 2, 4}));
  EXPECT_EQ(nice_ticks(7, 7, 4), (Ticks{7}));
}

Chart example() {
  Chart chart;
  chart.title = "a < b";
  chart.description = "what it shows";
  chart.lines = {{"line", {{0, 1, "here"}, {10, 5, ""}}}};
  return chart;
}

TEST(Chart, TellsScreenReadersWhatItIs) {
  const std::string svg = chart_svg(example());
  EXPECT_EQ(svg.find("<svg "), 0u);
  EXPECT_NE(svg.find("role=\"img\""), std::string::npos);
  EXPECT_NE(svg.find("<title id=\"title\">a &lt; b</title>"), std::string::npos);
  EXPECT_NE(svg.find("<desc id=\"description\">what it shows</desc>"), std::string::npos);
  EXPECT_NE(svg.find("prefers-color-scheme:dark"), std::string::npos);
  EXPECT_NE(svg.find("<title>here</title>"), std::string::npos);
}

TEST(Chart, LeavesOutWordsThatHaveNoRoom) {
  Chart chart = example();
  for (int i = 0; i < 100; ++i) chart.labels.push_back({5, 3, "a label of some length"});
  const std::string svg = chart_svg(chart);
  std::size_t labels = 0;
  for (std::size_t at = 0; (at = svg.find("a label", at)) != std::string::npos; ++at) ++labels;
  EXPECT_GE(labels, 1u);
  EXPECT_LE(labels, 8u);
}

TEST(Chart, DrawsOnePointAndNames) {
  Chart chart = example();
  chart.lines = {{"", {{1, 2, "only"}}}};
  chart.x_names = {{0, "8xA100"}, {1, "8xH100"}};
  const std::string svg = chart_svg(chart);
  EXPECT_NE(svg.find("8xH100</text>"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf"), std::string::npos);
}

}  // namespace
}  // namespace galvatron::planning
