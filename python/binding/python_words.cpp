#include "python_words.h"

#include <set>

#include "galvatron/planning/keyword_words.h"

namespace galvatron::binding {
namespace {

std::set<std::string>& known_options() {
  static std::set<std::string> known = [] {
    std::set<std::string> out = planning::planning_option_names();
    out.insert("frontier");  // a method of the result
    return out;
  }();
  return known;
}

}  // namespace

void know_options(const OptionList& options) {
  for (const Option& option : options.all()) known_options().insert(option.name);
}

std::string in_python_words(const std::string& text) {
  return planning::in_keyword_words(text, known_options());
}

std::string describe_in_python_words(const OptionList& options) {
  OrderedJson out = options.describe();
  for (OrderedJson& option : out) option["help"] = in_python_words(option["help"]);
  return out.dump();
}

}  // namespace galvatron::binding
