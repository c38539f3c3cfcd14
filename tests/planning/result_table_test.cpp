#include "galvatron/planning/result_table.h"

#include <gtest/gtest.h>

namespace galvatron::planning {
namespace {

ResultTable table_example() {
  ResultTable table({{"name", "name", true}, {"step_ms", "step"}, {"hidden", ""}});
  table.add_row({{"a,\"b\"", "a & b"}, {1.5, "1.50 ms"}, {7, "never"}});
  table.add_row({{"c", "c"}, {nullptr, "-"}, {nullptr, ""}});
  return table;
}

TEST(ResultTable, ShowsPeopleTheColumnsThatHaveAHead) {
  EXPECT_EQ(table_example().to_text(),
            "  name      step\n"
            "  ─────  ───────\n"
            "  a & b  1.50 ms\n"
            "  c            -\n");
}

TEST(ResultTable, QuotesForSpreadsheetsWhatNeedsIt) {
  EXPECT_EQ(table_example().to_csv(), "name,step_ms,hidden\n\"a,\"\"b\"\"\",1.5,7\nc,,\n");
}

TEST(ResultTable, KeepsTypesInJson) {
  EXPECT_EQ(table_example().to_json().dump(), R"([{"name":"a,\"b\"","step_ms":1.5,"hidden":7},)"
                                              R"({"name":"c","step_ms":null,"hidden":null}])");
}

TEST(ResultTable, EscapesMarkup) {
  const std::string html = table_example().to_html();
  EXPECT_NE(html.find("<td class=\"left\">a &amp; b</td><td>1.50 ms</td></tr>"), std::string::npos);
  EXPECT_EQ(html.find("never"), std::string::npos);
  EXPECT_EQ(escape_markup("<a \"b\">"), "&lt;a &quot;b&quot;&gt;");
}

}  // namespace
}  // namespace galvatron::planning
