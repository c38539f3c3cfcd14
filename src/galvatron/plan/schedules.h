// The schedules that there are: one function each, and an entry of the table in schedules.cpp.
#pragma once
#include "galvatron/plan/schedule.h"

namespace galvatron::plan {

// All forwards, then all backwards in reverse order (Huang et al. 2019).
//   stage 0 of 2, 3 microbatches:  F0 F1 F2 B2 B1 B0
std::vector<Step> schedule_gpipe(int num_microbatches);

// Warm up, alternate, drain (Narayanan et al. 2021, figure 4).
//   stage 0 of 2, 4 microbatches:  F0 F1 B0 F2 B1 F3 B2 B3
std::vector<Step> schedule_1f1b(int stage, int num_stages, int num_microbatches);

// 1F1B over several stages of a rank (Narayanan et al. 2021, section 2.2). Microbatches go through
// the chunks in groups: all of a group through the first chunk, then all through the next. Any
// number of them: groups are balanced and have at least pp_degree members, fewer only where there
// are not as many; then the order is that of a full group, less the steps of those that do not
// exist. In units of one stage's forward and backward a step takes
// max(m, p) * stages_per_rank + min(m, p) - 1 when all stages are equal.
//   pipeline rank 0 of 2, 2 chunks, 2 microbatches:  F0 F1 F0.1 F1.1 B0.1 B1.1 B0 B1
std::vector<Step> schedule_interleaved_1f1b(int pp_rank, int pp_degree, int stages_per_rank,
                                            int num_microbatches);

// 1F1B whose backwards hand on the gradient of their input before they make those of the weights,
// which fill the bubble of the drain (Qi et al. 2023, ZB-H1). Stage s keeps those of s microbatches
// back, so that no stage holds what weight gradients need of more than num_stages of them. With
// forward, input and weight gradient of one length f on all stages a step takes
// (3 m + num_stages - 1) f for m >= num_stages, where 1F1B takes 3 (m + num_stages - 1) f.
//   stage 1 of 2, 3 microbatches:  F0 B0 F1 B1 W0 F2 B2 W1 W2
std::vector<Step> schedule_zb_h1(int stage, int num_stages, int num_microbatches);

}  // namespace galvatron::plan
