// Text as training data: token file pairs that galvatron-data makes of it once, in a cache.
#pragma once
#include <string>
#include <vector>

#include "galvatron/data/data_list.h"

namespace galvatron::train {

struct TrainJob;

// ~/.cache/galvatron/tokens, or where XDG_CACHE_HOME says.
std::string default_data_cache();

// Is it text that galvatron-data reads: a file with an ending of text, or a folder of such files
// that holds no token pair?
bool is_text(const std::string& name);

// The list with the prefix of its token pair in the place of each text; the pair is made where the
// cache has none of this text and this tokenizer. Several processes may ask at the same time: one
// makes it, the others wait. ConfigError without a tokenizer, without the Python package that
// tokenizes, and for what it refuses, which it says itself; RuntimeFailure where it fails.
data::DataList tokenize_texts(const data::DataList& list, const TrainJob& job,
                              const std::string& option);

}  // namespace galvatron::train
