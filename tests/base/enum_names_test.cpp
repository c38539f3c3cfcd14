#include "galvatron/base/enum_names.h"

#include <gtest/gtest.h>

#include "galvatron/base/json.h"

#include "config_error.h"

namespace galvatron {
namespace {

enum class Colour { kRed, kGreen };
constexpr EnumNames<2> names_of(Colour) { return {"colour", {"red", "green"}}; }

TEST(EnumNames, GoBothWays) {
  EXPECT_EQ(enum_names<Colour>(), (std::vector<std::string>{"red", "green"}));
  EXPECT_EQ(enum_list<Colour>(), "red, green");
  for (const Colour value : enum_values<Colour>()) {
    EXPECT_EQ(parse_enum<Colour>(enum_text(value)), value);
  }
  EXPECT_EQ(find_enum<Colour>("blue"), std::nullopt);
  EXPECT_EQ(config_error_of([] { parse_enum<Colour>("gren"); }),
            "[colour] 'gren' is not one of red, green, did you mean 'green'?");
}

TEST(EnumNames, AreReadFromJson) {
  const Json json = Json::parse(R"({"a": "green", "b": "gren"})");
  JsonReader reader(json, "x.json");
  EXPECT_EQ(reader.get_enum_or("a", Colour::kRed), Colour::kGreen);
  EXPECT_EQ(reader.get_enum_or("absent", Colour::kRed), Colour::kRed);
  EXPECT_EQ(config_error_of([&] { reader.get_enum_or("b", Colour::kRed); }),
            "[json] x.json: key 'b' is 'gren', not one of red, green, did you mean 'green'?");
}

}  // namespace
}  // namespace galvatron
