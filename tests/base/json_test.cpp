#include "galvatron/base/json.h"

#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_error.h"

namespace galvatron {
namespace {

class JsonFile : public testing::Test {
 protected:
  JsonFile()
      : folder_(std::filesystem::temp_directory_path() /
                ("galvatron_json_test_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~JsonFile() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& text) {
    const auto path = folder_ / "file.json";
    std::ofstream(path) << text;
    return path;
  }

  std::filesystem::path folder_;
};

TEST_F(JsonFile, ComesBackAsItWasWritten) {
  const auto path = folder_ / "deep" / "file.json";
  write_json_file(path, OrderedJson::parse(R"({"b": 1, "a": [1, 2.5, "x"]})"));
  EXPECT_EQ(read_json_file(path), Json::parse(R"({"a": [1, 2.5, "x"], "b": 1})"));
  int entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path.parent_path())) {
    EXPECT_EQ(entry.path().filename(), "file.json");
    ++entries;
  }
  EXPECT_EQ(entries, 1) << "a temporary file was left behind";
}

TEST_F(JsonFile, MissingFolderOrHugeFileIsOneSentence) {
  const auto missing = folder_ / "none.json";
  EXPECT_NE(config_error_of([&] { read_json_file(missing); }).find(missing.string()),
            std::string::npos);
  EXPECT_NE(config_error_of([&] { read_json_file(folder_); }).find("is a folder"),
            std::string::npos);
  const auto path = write("[" + std::string(2000, ' ') + "]");
  EXPECT_NE(config_error_of([&] { read_json_file(path, kibibytes(1)); }).find("more than the"),
            std::string::npos);
}

TEST_F(JsonFile, ChecksumFollowsTheContent) {
  const std::string first = file_checksum(write("one"));
  EXPECT_EQ(first, file_checksum(write("one")));
  EXPECT_NE(first, file_checksum(write("two")));
  EXPECT_EQ(first.rfind("fnv1a:", 0), 0u);
}

TEST(ParseJson, RefusesTruncatedAndHostileText) {
  for (const std::string text : {"{", "{\"a\": }", "[1, 2", "nul"}) {
    EXPECT_NE(config_error_of([&] { parse_json(text, "x.json"); }).find("x.json is not valid JSON"),
              std::string::npos)
        << text;
  }
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_NE(config_error_of([&] { parse_json(deep, "x.json"); }).find("nested deeper than 64"),
            std::string::npos);
}

TEST(JsonReader, TakesValuesByKindWithinLimits) {
  const Json json = Json::parse(
      R"({"n": 4, "f": 4.0, "x": 0.5, "s": "word", "t": true, "o": {"n": 1},
          "a": [1], "z": null})");
  JsonReader reader(json, "x.json", Nulls::kAbsent);
  EXPECT_EQ(reader.get_int("n", 1, 8), 4);
  EXPECT_EQ(reader.get_int("f", 1, 8), 4);
  EXPECT_EQ(reader.get_int_or("absent", 7, 1, 8), 7);
  EXPECT_EQ(reader.get_int_or("z", 7, 1, 8), 7) << "null counts as absent";
  EXPECT_DOUBLE_EQ(reader.get_number("x", 0, 1), 0.5);
  EXPECT_EQ(reader.get_string("s"), "word");
  EXPECT_TRUE(reader.get_bool_or("t", false));
  EXPECT_EQ(reader.get_object("o").get_int("n", 0, 1), 1);
  EXPECT_EQ(reader.get_array("a").size(), 1u);
  EXPECT_NO_THROW(reader.finish());
}

TEST(ParseJson, RefusesAKeyThatStandsTwiceInOneObject) {
  EXPECT_EQ(config_error_of([] { parse_json(R"({"a": 1, "b": {"c": 2, "a": 3}, "a": 1})", "x"); }),
            "[json] x: key 'a' stands twice in one object");
  EXPECT_EQ(config_error_of([] { parse_json(R"([{"a": [{"b": 0, "b": 0}]}])", "x"); }),
            "[json] x: key 'b' stands twice in one object");
  EXPECT_NO_THROW(parse_json(R"({"a": [{"a": 1}, {"a": {"a": 2}}], "b": {"a": 1}})", "x"));
}

TEST(JsonReader, RefusesNullUnlessItStandsForAbsent) {
  const Json json = Json::parse(R"({"n": null, "o": {"n": null}})");
  JsonReader strict(json, "x.json");
  const std::string sentence = "[json] x.json: key 'n' is null; give it a value or leave it away";
  EXPECT_EQ(config_error_of([&] { strict.get_int_or("n", 7, 1, 8); }), sentence);
  EXPECT_EQ(config_error_of([&] { strict.has("n"); }), sentence);
  EXPECT_EQ(config_error_of([&] { strict.get("n"); }), sentence);
  EXPECT_EQ(config_error_of([&] { strict.get_object("o").get_string_or("n", ""); }),
            "[json] x.json: o: key 'n' is null; give it a value or leave it away");
  JsonReader lenient(json, "config.json", Nulls::kAbsent);
  EXPECT_EQ(lenient.get_object("o").get_int_or("n", 7, 1, 8), 7);
}

TEST(JsonReader, NamesFileKeyAndValueOfWhatItRefuses) {
  const Json json = Json::parse(R"({"n": 4.5, "big": 1e300, "s": 3, "word": "blue", "list": {}})");
  JsonReader reader(json, "x.json");
  const auto message = [&](auto call) { return config_error_of(call); };
  EXPECT_EQ(message([&] { reader.get_int("n", 0, 9); }),
            "[json] x.json: key 'n' must be a whole number, not 4.5");
  EXPECT_EQ(message([&] { reader.get_int("big", 0, 9); }),
            "[json] x.json: key 'big' is 1e+300, outside 0 .. 9");
  EXPECT_EQ(message([&] { reader.get_string("s"); }),
            "[json] x.json: key 's' must be a string, not 3");
  EXPECT_EQ(message([&] { reader.get_choice_or("word", "a", {"black", "blues"}); }),
            "[json] x.json: key 'word' is 'blue', not one of black, blues, did you mean 'blues'?");
  EXPECT_EQ(message([&] { reader.get_array("list"); }),
            "[json] x.json: key 'list' must be an array, not object");
  EXPECT_EQ(message([&] { reader.get_int("absent_key", 0, 9); }),
            "[json] x.json: key 'absent_key' is missing");
  EXPECT_EQ(message([&] { JsonReader(Json::array(), "y.json"); }),
            "[json] y.json must be an object, not array");
}

TEST(JsonReader, FinishNamesTheKeyNobodyAskedFor) {
  const Json json = Json::parse(R"({"tp_degre": 4})");
  JsonReader reader(json, "plan.json");
  EXPECT_EQ(reader.get_int_or("tp_degree", 1, 1, 8), 1);
  EXPECT_EQ(config_error_of([&] { reader.finish(); }),
            "[json] plan.json: key 'tp_degre' is unknown, did you mean 'tp_degree'?");
  reader.ignore("tp_degre");
  EXPECT_NO_THROW(reader.finish());
}

TEST(FirstDifference, LooksFromBothSides) {
  const Json a{{"a", 1}, {"b", "x"}}, more{{"a", 1}, {"b", "x"}, {"c", nullptr}};
  EXPECT_EQ(first_difference(a, a), "");
  EXPECT_EQ(first_difference(a, more), "c");
  EXPECT_EQ(first_difference(more, a), "c");
  EXPECT_EQ(first_difference(a, Json{{"a", 1}, {"b", "y"}}), "b");
  EXPECT_EQ(first_difference(a, more, [](const std::string& key) { return key != "c"; }), "");
}

TEST(ValueText, IsForSentences) {
  const Json json{{"a", 1}, {"b", "x"}};
  EXPECT_EQ(value_text(find_value(json, "a")), "1");
  EXPECT_EQ(value_text(find_value(json, "b")), "x");
  EXPECT_EQ(value_text(find_value(json, "c")), "nothing");
}

TEST_F(JsonFile, WritingReplacesFilesAloneAndWhatALinkNames) {
  namespace fs = std::filesystem;
  write_file_atomically(folder_ / "file", "old");
  fs::create_symlink("file", folder_ / "link");
  write_file_atomically(folder_ / "link", "newer");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(fs::file_size(folder_ / "file"), 5u);
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  for (const fs::path& other : {folder_ / "pipe", folder_}) {
    EXPECT_NE(config_error_of([&] { write_file_atomically(other, "x"); }).find("no file"),
              std::string::npos);
  }
  EXPECT_TRUE(fs::is_fifo(folder_ / "pipe"));
}

TEST(ParseJson, SaysWhatAFileIsInstead) {
  const auto said = [](std::string_view text) {
    return config_error_of([&] { parse_json(text, "x.json"); });
  };
  EXPECT_EQ(said(" \n"), "[json] x.json is empty");
  EXPECT_NE(said("version https://git-lfs.github.com/spec/v1\n").find("git lfs pull"),
            std::string::npos);
  EXPECT_NE(said("<!DOCTYPE html>").find("is no JSON but a web page"), std::string::npos);
  EXPECT_NE(said("{'a': 1}").find("x.json is not valid JSON"), std::string::npos);
}

}  // namespace
}  // namespace galvatron
