// Rotary position embedding from a config.json: `rope_theta` with `rope_scaling`, or transformers
// 5's `rope_parameters`.
#pragma once
#include <cstdint>
#include <string>

#include "galvatron/base/json.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::spec {

// Of a head's dims, how many its family may turn.
enum class RotaryPart { kWhole, kAny };

// Variants default, linear, dynamic (the same as default up to max_positions, and no sequence is
// longer), llama3, yarn, and longrope where its short factors hold for every length. Formulas are
// those of transformers' modeling_rope_utils; transformers evaluates them in fp32, we in double, so
// the numbers agree to fp32 rounding. ConfigError for other variants, and for a part of a head
// (`partial_rotary_factor`) where the family turns whole ones.
RopeSpec read_rope(const Json& config, std::int64_t head_size, std::int64_t max_positions,
                   const std::string& source, RotaryPart part = RotaryPart::kWhole);

}  // namespace galvatron::spec
