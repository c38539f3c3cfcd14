// Names of data as a user writes them: one, or several with weights.
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace galvatron::data {

struct DataList {
  std::vector<std::string> names;  // at least one
  std::vector<double> weights;     // > 0, one for each name; empty: by their numbers of samples
};

// "corpus"; "0.7 books 0.3 web": weights and names in turn, in Megatron-LM's form; "books web", by
// their sizes; "@FILE": a file that holds one of them, over any number of lines, with comments
// behind '#'. A name with blanks stands in quotes, unless it is the only one. `is_there` tells
// whether something of a name exists, which decides what a text with blanks means. ConfigError,
// naming `option`, for weights that are none, names without a weight or named twice, and a file
// that cannot be read.
DataList parse_data_list(const std::string& text, const std::string& option,
                         const std::function<bool(const std::string&)>& is_there);

// As parse_data_list() reads it back.
std::string to_text(const DataList& list);

}  // namespace galvatron::data
