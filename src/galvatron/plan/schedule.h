// A pipeline schedule is a list of steps per pipeline rank: data first, execution second. The
// executor runs the list, the cost model times it and the timeline draws it.
//
// A pipeline rank is the place of a stage's ranks. It runs one stage, or several under the
// interleaved schedule: stage s is chunk s / pp_degree of pipeline rank s % pp_degree.
#pragma once
#include <string>
#include <vector>

namespace galvatron::plan {

enum class ScheduleKind { kGPipe, k1F1B, kInterleaved };

std::string to_text(ScheduleKind kind);                // "gpipe", "1f1b", "interleaved"
ScheduleKind parse_schedule(const std::string& text);  // ConfigError
const std::vector<std::string>& schedule_names();

// Stages of a pipeline rank where nobody says how many: the fewest that the schedule is for.
int usual_stages_per_rank(ScheduleKind kind);

enum class Action {
  kForward,
  kBackward,
  kRecvActivation,
  kSendActivation,
  kRecvGradient,
  kSendGradient
};

struct Step {
  Action action = Action::kForward;
  int microbatch = 0;
  int chunk = 0;  // which of the pipeline rank's stages
  bool operator==(const Step&) const = default;
};

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

// The compute steps of one pipeline rank.
std::vector<Step> make_schedule(ScheduleKind kind, int pp_rank, int pp_degree, int num_microbatches,
                                int stages_per_rank = 1);

// Adds the transfers: an activation is received before its forward and sent after it, a gradient
// likewise backward. From one chunk to the next they go from the last pipeline rank to the first.
std::vector<Step> add_transfers(const std::vector<Step>& steps, int pp_rank, int pp_degree,
                                int stages_per_rank = 1);

// Largest number of microbatches whose forward is done and whose backward is not, over the list;
// each chunk's are counted.
int max_in_flight(const std::vector<Step>& steps);

// "F0 F1 B0 ...", with rA/sA/rG/sG for transfers and the chunk behind a point unless it is the
// first: "F0.1".
std::string to_text(const std::vector<Step>& steps);

}  // namespace galvatron::plan
