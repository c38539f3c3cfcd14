// Plans of Galvatron-2's, which nobody beyond the command line knows.
#pragma once
#include "galvatron/train/train_job.h"

namespace galvatron::cli {

// Reads one here, where the job's plan file is one.
void read_foreign_plan(train::TrainJob& job, int world_size);

}  // namespace galvatron::cli
