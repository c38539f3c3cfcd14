// How fast this processor multiplies: what a step's share of it is told against.
#pragma once
#include "galvatron/spec/job_spec.h"

namespace galvatron::train {

// FLOPs per second of a large product on this rank's threads, the best of a few; a tenth of a
// second. Where ranks share a machine all measure at once, as they train.
double measured_matmul_flops(spec::Precision precision);

}  // namespace galvatron::train
