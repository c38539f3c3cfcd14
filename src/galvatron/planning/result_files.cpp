#include "galvatron/planning/result_files.h"

namespace galvatron::planning {
namespace {

constexpr const char* kPageStyle =
    "body{font:14px system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;"
    "color:#222;background:#fff}svg{width:100%;height:auto}.wide{overflow-x:auto}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{padding:.25em .8em;text-align:right;border-bottom:1px solid #8884;white-space:nowrap}"
    ".left{text-align:left}"
    "@media (prefers-color-scheme:dark){body{color:#e6e6e6;background:#16181c}}";

}  // namespace

std::vector<std::pair<std::string, std::string>> ResultFiles::wanted() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [option, path] : {std::pair{"--csv", &csv}, std::pair{"--json", &json},
                                     std::pair{"--svg", &svg}, std::pair{"--html", &html}}) {
    if (!path->empty()) out.emplace_back(option, *path);
  }
  return out;
}

OptionList result_file_options(ResultFiles& files) {
  OptionList list;
  list.group("Output");
  list.path("csv", files.csv, "Table to write, for a spreadsheet");
  list.path("json", files.json, "The same with all that is known of each row");
  list.path("svg", files.svg, "Picture to write");
  list.path("html", files.html, "Page to write: picture and table");
  return list;
}

std::string results_fragment(const Results& results) {
  return (results.chart ? chart_svg(*results.chart) : "") + "<div class=\"wide\">\n" +
         results.table.to_html() + "</div>\n<pre>" + escape_markup(results.notes) + "</pre>\n";
}

std::string results_html(const Results& results) {
  return "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
         escape_markup(results.chart ? results.chart->title : "Nothing fits") +
         "</title>\n<style>" + kPageStyle + "</style>\n</head>\n<body>\n" +
         results_fragment(results) + "</body>\n</html>\n";
}

void write_results(const ResultFiles& files, const Results& results) {
  if (!files.csv.empty()) write_file_atomically(files.csv, results.table.to_csv());
  if (!files.json.empty()) write_json_file(files.json, results.json);
  if (!files.svg.empty() && results.chart)
    write_file_atomically(files.svg, chart_svg(*results.chart));
  if (!files.html.empty()) write_file_atomically(files.html, results_html(results));
}

}  // namespace galvatron::planning
