// The same answers in the files that a user asks for.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "galvatron/base/option.h"
#include "galvatron/planning/chart.h"
#include "galvatron/planning/result_table.h"

namespace galvatron::planning {

// Where to; empty: not wanted.
struct ResultFiles {
  std::string csv, json, svg, html;
  // {"--csv", path} of those that are wanted.
  std::vector<std::pair<std::string, std::string>> wanted() const;
};
// `files` must outlive the list.
OptionList result_file_options(ResultFiles& files);

struct Results {
  ResultTable table;
  std::string notes;  // lines below the table
  OrderedJson json;
  std::optional<Chart> chart;  // unset: nothing to draw
};
// A picture of nothing is not written.
void write_results(const ResultFiles& files, const Results& results);

// Picture, table, notes: a part of a page, and a page of its own.
std::string results_fragment(const Results& results);
std::string results_html(const Results& results);

}  // namespace galvatron::planning
