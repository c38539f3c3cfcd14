#include "galvatron/data/data_list.h"

#include <set>

#include <gtest/gtest.h>

#include "galvatron/base/error.h"

#include "token_file.h"

namespace galvatron::data {
namespace {

DataList parse(const std::string& text, const std::set<std::string>& there = {}) {
  return parse_data_list(text, "--data",
                         [&](const std::string& name) { return there.contains(name); });
}

std::string problem(const std::string& text) {
  try {
    parse(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

using Names = std::vector<std::string>;
using Weights = std::vector<double>;

TEST(DataList, OneNameStaysAsItIs) {
  for (const char* name : {"corpus", "a/b c", "0.5", "it's here", "\"x", "2 books", "two  words"}) {
    const DataList list = parse(name, {name});
    EXPECT_EQ(list.names, Names{name});
    EXPECT_TRUE(list.weights.empty());
  }
  EXPECT_EQ(parse("not there").names, Names{"not there"});
  EXPECT_EQ(parse("it's").names, Names{"it's"});
}

TEST(DataList, WeightsAndNamesComeInTurn) {
  const DataList list = parse("0.7 books\t3e-1 'web pages'");
  EXPECT_EQ(list.names, (Names{"books", "web pages"}));
  EXPECT_EQ(list.weights, (Weights{0.7, 0.3}));
  EXPECT_EQ(parse(to_text(list)).names, list.names);
  EXPECT_EQ(parse(to_text(list)).weights, list.weights);
}

TEST(DataList, NamesAloneAreByTheirSizes) {
  const DataList list = parse("books web", {"books", "web"});
  EXPECT_EQ(list.names, (Names{"books", "web"}));
  EXPECT_TRUE(list.weights.empty());
}

TEST(DataList, AFileHoldsTheSame) {
  const TemporaryFolder folder;
  write_bytes(folder / "blend", "# two\n0.25 books  # old ones\n\n0.75 \"my web\"");
  const DataList list = parse("@" + (folder / "blend"));
  EXPECT_EQ(list.names, (Names{"books", "my web"}));
  EXPECT_EQ(list.weights, (Weights{0.25, 0.75}));
  write_bytes(folder / "names", "books\nweb\n");
  EXPECT_EQ(parse("@" + (folder / "names")).names, (Names{"books", "web"}));
  write_bytes(folder / "empty", "# nothing\n");
  EXPECT_NE(problem("@" + (folder / "empty")).find("names nothing"), std::string::npos);
  EXPECT_NE(problem("@" + (folder / "missing")).find("there is no such file"), std::string::npos);
}

TEST(DataList, WhatIsNoBlendIsSaidInOneSentence) {
  const auto expect = [](const std::string& text, const std::string& words) {
    EXPECT_NE(problem(text).find(words), std::string::npos) << problem(text);
    EXPECT_EQ(problem(text).find('\n'), std::string::npos);
  };
  expect("0 a 1 b", "gives a the weight 0: a weight is a number above 0");
  expect("1 a -0.5 b", "gives b the weight -0.5");
  expect("1 a nan b", "gives b the weight nan");
  expect("1 a inf b", "gives b the weight inf");
  expect("0.7 a 0.3", "ends with 0.3 behind 1 pairs of weight and name");
  expect("0.7 a b 0.3", "has 'b' where the weight of 0.3 is due");
  expect("0.7 a 0.3 a", "names a twice");
  expect("0.7 'a 0.3 b", "without its second");
}

}  // namespace
}  // namespace galvatron::data
