#include "galvatron/server/lines.h"

#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"

namespace galvatron::server {
namespace {

using namespace std::chrono_literals;

// The lines of an answer whose reader takes so many and leaves.
std::vector<std::string> lines_of(const http::Answer& answer, std::size_t most = 1000) {
  std::vector<std::string> out;
  answer.stream([&](std::string_view piece) {
    if (out.size() == most) return false;
    out.emplace_back(piece);
    return true;
  });
  return out;
}

TEST(Lines, ProgressIsToldNowAndThen) {
  const auto begin = std::chrono::steady_clock::now();
  const auto lines = lines_of(line_answer(60, [](Lines& to) {
    for (int i = 0; i < 60; ++i) {
      EXPECT_TRUE(to.progress({{"progress", i}}));
      std::this_thread::sleep_for(10ms);
    }
    to.end({{"result", "done"}});
  }));
  const auto took = std::chrono::steady_clock::now() - begin;
  ASSERT_GE(lines.size(), 3U);
  EXPECT_LE(lines.size(), static_cast<std::size_t>(took / 250ms) + 2);  // the first, and the end
  EXPECT_EQ(lines.front(), "{\"progress\":0}\n");
  EXPECT_EQ(lines.back(), "{\"result\":\"done\"}\n");
}

TEST(Lines, WhatIsThrownIsTheLastLine) {
  EXPECT_EQ(lines_of(line_answer(60, [](Lines&) { throw ConfigError("--memory is missing"); }))[0],
            "{\"error\":{\"sentence\":\"memory is missing\"}}\n");
  EXPECT_EQ(lines_of(line_answer(60, [](Lines&) { throw std::runtime_error("broken"); })).size(),
            1U);
}

TEST(Lines, EndWithTheirReader) {
  int rounds = 0;
  const auto lines = lines_of(line_answer(60,
                                          [&](Lines& to) {
                                            while (to.progress({{"progress", ++rounds}})) {
                                              std::this_thread::sleep_for(10ms);
                                            }
                                            EXPECT_FALSE(to.goes_on());
                                            throw Abandoned();
                                          }),
                              2);
  EXPECT_EQ(lines.size(), 2U);
  EXPECT_LT(rounds, 200);
}

TEST(Lines, NoticeThatNobodyReads) {
  int rounds = 0;
  lines_of(line_answer(60,
                       [&](Lines& to) {
                         to.progress({{"progress", 0}});
                         while (to.goes_on()) ++rounds, std::this_thread::sleep_for(10ms);
                       }),
           1);
  EXPECT_LT(rounds, 400);
}

TEST(Lines, EndWithTheirTime) {
  const auto lines = lines_of(line_answer(0.05, [](Lines& to) {
    while (to.progress({{"progress", 0}})) std::this_thread::sleep_for(5ms);
    EXPECT_TRUE(to.is_over_time());
    throw Abandoned();
  }));
  EXPECT_NE(lines.back().find("takes longer"), std::string::npos);
}

}  // namespace
}  // namespace galvatron::server
