#include "galvatron/train/versions.h"

#include <torch/version.h>

namespace galvatron::train {

OrderedJson versions() { return {{"galvatron", GALVATRON_VERSION}, {"torch", TORCH_VERSION}}; }

}  // namespace galvatron::train
