// Sentences of the rooms name options as the command line spells them; from Python they are keyword
// arguments.
#pragma once
#include <string>

#include "galvatron/base/option.h"

namespace galvatron::binding {

// The words of planning are known. A module with functions of other options says so once, when it
// is loaded.
void know_options(const OptionList& options);

// "--global-batch 64" as "global_batch 64", for every option that is known.
// Commands to type, which stand in backticks, stay as they are.
std::string in_python_words(const std::string& text);

// OptionList::describe() with its help in these words.
std::string describe_in_python_words(const OptionList& options);

}  // namespace galvatron::binding
