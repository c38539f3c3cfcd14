#include "galvatron/base/option.h"

#include <gtest/gtest.h>

#include "galvatron/base/error.h"

namespace galvatron {
namespace {

enum class OptionColour { kRed, kGreen };
constexpr EnumNames<2> names_of(OptionColour) { return {"colour", {"red", "green"}}; }

struct OptionRequest {
  std::string text = "plain", path;
  Bytes memory;
  std::int64_t length = 8;
  std::optional<Bandwidth> network;
  std::optional<int> limit;
  double rate = 0.5;
  OptionColour colour = OptionColour::kRed;
  std::optional<OptionColour> other;
  bool shuffle = true, loud = false;
  std::vector<int> layers;
  std::vector<double> means = {0.5};
  std::vector<std::string> words;
};

OptionList options_of(OptionRequest& request) {
  OptionList list;
  list.group("First");
  list.text("some-text", request.text, "A text");
  list.path("path", request.path, "A path");
  list.bytes("memory", request.memory, "Of a device");
  list.count("length", request.length, {1, 16}, "A length");
  list.count("limit", request.limit, {.min = 1}, "A limit");
  list.group("Second");
  list.number("rate", request.rate, {0, 1}, "A rate");
  list.choice("colour", request.colour, "A colour");
  list.choice("other", request.other, "Another");
  list.on_off("shuffle", request.shuffle, "In another order");
  list.flag("loud", request.loud, "Say more");
  list.counts("layers", request.layers, {.min = 1}, "Layers");
  list.numbers("means", request.means, {-1, 1}, "Means");
  list.texts("words", request.words, "Words", "WORD");
  list.bandwidth("network", request.network, "A network");
  return list;
}

std::string error_of(const std::string& arguments) {
  OptionRequest request;
  try {
    options_of(request).read(Json::parse(arguments), "test");
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(OptionList, ReadsAndRecordsBandwidths) {
  OptionRequest request;
  const OptionList list = options_of(request);
  list.read(Json::parse(R"({"network": "200Gb/s"})"), "test");
  EXPECT_EQ(request.network, gigabytes_per_second(25));
  EXPECT_EQ(list.find("network")->value(), "25GB/s");
  EXPECT_EQ(list.find("network")->python_type(), "str");
  EXPECT_EQ(error_of(R"({"network": "25"})"),
            "[network] '25' is not a bandwidth; write bytes (25GB/s) or bits (200Gb/s) a second");
}

TEST(OptionList, ReadsArgumentsOfTheirTypes) {
  OptionRequest request;
  options_of(request).read(Json::parse(R"({"some_text": "a", "memory": "2GiB", "length": 16,
      "limit": null, "rate": 1, "colour": "green", "other": "red", "shuffle": false, "loud": true,
      "layers": [1, 2], "means": 0.25, "words": ["x", "y"]})"),
                           "test");
  EXPECT_EQ(request.text, "a");
  EXPECT_EQ(request.memory, gibibytes(2));
  EXPECT_EQ(request.length, 16);
  EXPECT_FALSE(request.limit);
  EXPECT_EQ(request.rate, 1);
  EXPECT_EQ(request.colour, OptionColour::kGreen);
  EXPECT_EQ(request.other, OptionColour::kRed);
  EXPECT_FALSE(request.shuffle);
  EXPECT_TRUE(request.loud);
  EXPECT_EQ(request.layers, (std::vector<int>{1, 2}));
  EXPECT_EQ(request.means, (std::vector<double>{0.25}));
  EXPECT_EQ(request.words, (std::vector<std::string>{"x", "y"}));
}

TEST(OptionList, BytesMayBeANumber) {
  OptionRequest request;
  options_of(request).read(Json::parse(R"({"memory": 4096})"), "test");
  EXPECT_EQ(request.memory.value, 4096);
}

TEST(OptionList, AWrongValueIsOneSentence) {
  EXPECT_EQ(error_of(R"({"length": 17})"), "length needs a whole number from 1 to 16, not '17'");
  EXPECT_EQ(error_of(R"({"length": 1.5})"), "length needs a whole number from 1 to 16, not '1.5'");
  EXPECT_EQ(error_of(R"({"limit": 0})"), "limit needs a whole number of at least 1, not '0'");
  EXPECT_EQ(error_of(R"({"limit": 99999999999})"),
            "limit needs a whole number of at least 1, not '99999999999'");
  EXPECT_EQ(error_of(R"({"rate": -1})"), "rate needs a number from 0 to 1, not '-1'");
  EXPECT_EQ(error_of(R"({"length": "8"})"), "length needs int, not \"8\"");
  EXPECT_EQ(error_of(R"({"shuffle": 1})"), "shuffle needs true or false, not '1'");
  EXPECT_EQ(error_of(R"({"some_text": ""})"), "some_text is empty");
  EXPECT_EQ(error_of(R"({"layers": [1, 0]})"),
            "layers needs a whole number of at least 1, not '0'");
}

TEST(OptionList, AnUpperEndMayBeLeftOut) {
  double decay = 0.5;
  OptionList list;
  list.number("decay", decay, {0, 1, true}, "A decay");
  list.read(Json::parse(R"({"decay": 0.999})"), "test");
  EXPECT_EQ(decay, 0.999);
  try {
    list.read(Json::parse(R"({"decay": 1})"), "test");
    FAIL() << "1 was taken";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(), "decay needs a number from 0 to below 1, not '1'");
  }
}

TEST(OptionList, AWrongNameSaysTheNearest) {
  EXPECT_EQ(error_of(R"({"colour": "gren"})"),
            "colour needs one of red, green, not 'gren', did you mean 'green'?");
  EXPECT_EQ(error_of(R"({"lenght": 1})"), "[test] 'lenght' is unknown, did you mean 'length'?");
}

TEST(OptionList, RecordsWhatHasAValueUnderTheHeadings) {
  OptionRequest request;
  request.colour = OptionColour::kGreen;
  const OptionList list = options_of(request);
  EXPECT_EQ(list.record({"Second"}).dump(),
            R"({"rate":0.5,"colour":"green","shuffle":true,"loud":false,"layers":[],)"
            R"("means":[0.5],"words":[]})");
  EXPECT_FALSE(list.record({"First"}).contains("limit"));
}

TEST(OptionList, SaysWhichOfAHeadingIsGiven) {
  OptionRequest request;
  const OptionList list = options_of(request);
  EXPECT_EQ(list.given_of(Json::parse(R"({"some_text": "a", "loud": true})"), "Second"), "loud");
  EXPECT_EQ(list.given_of(Json::parse(R"({"some_text": "a", "loud": null})"), "Second"), "");
}

TEST(OptionList, DescribesEachOptionOnce) {
  OptionRequest request;
  const OrderedJson all = options_of(request).describe();
  ASSERT_EQ(all.size(), 14U);
  EXPECT_EQ(all[0].dump(),
            R"({"name":"some_text","type":"str","default":"plain","values":"TEXT","help":"A text",)"
            R"("group":"First","required":false})");
  EXPECT_EQ(all[3]["type"], "int");
  EXPECT_EQ(all[6]["values"], "red|green");
  EXPECT_EQ(all[9]["type"], "bool");
  EXPECT_EQ(all[10]["type"], "list[int]");
  EXPECT_EQ(all[11]["type"], "float | list[float]");
  EXPECT_EQ(all[12]["type"], "list[str]");
}

}  // namespace
}  // namespace galvatron
