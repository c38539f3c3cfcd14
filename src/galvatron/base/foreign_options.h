// What options of ours are called in other systems: who types another's name is told ours.
#pragma once
#include <string>
#include <vector>

namespace galvatron {

// "; that is --lr here", or a sentence on what takes the option's place; empty for a name that we
// do not know. `name`: with or without dashes, "-" or "_" between words, in any case. `dashes`:
// ours is shown as "--global-batch", else as Python's "global_batch".
std::string foreign_option_hint(const std::string& name, bool dashes);

// The ending of a sentence about an option that is unknown: the hint above where ours is among
// `known` (with or without dashes), else the nearest of them, else where ours belongs; or "".
std::string unknown_option_hint(const std::string& name, const std::vector<std::string>& known,
                                bool dashes);

}  // namespace galvatron
