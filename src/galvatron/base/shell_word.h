// Words for a shell.
#pragma once
#include <string>

namespace galvatron {

// As a shell reads it back: in single quotes unless it is plain.
std::string shell_word(const std::string& word);

}  // namespace galvatron
