// Versions of what computed a result, for records.
#pragma once
#include "galvatron/base/json.h"

namespace galvatron::train {

// {"galvatron": "0.1.0", "torch": "2.11.0"}.
OrderedJson versions();

}  // namespace galvatron::train
