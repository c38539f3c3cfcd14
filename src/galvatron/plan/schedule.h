// A pipeline schedule is a list of steps per stage: data first, execution second. The executor runs
// the list, the cost model times it and the timeline draws it.
#pragma once
#include <string>
#include <vector>

namespace galvatron::plan {

enum class ScheduleKind { kGPipe, k1F1B };

std::string to_text(ScheduleKind kind);                // "gpipe", "1f1b"
ScheduleKind parse_schedule(const std::string& text);  // ConfigError
const std::vector<std::string>& schedule_names();

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
  bool operator==(const Step&) const = default;
};

// All forwards, then all backwards in reverse order (Huang et al. 2019).
//   stage 0 of 2, 3 microbatches:  F0 F1 F2 B2 B1 B0
std::vector<Step> schedule_gpipe(int num_microbatches);

// Warm up, alternate, drain (Narayanan et al. 2021, figure 4).
//   stage 0 of 2, 4 microbatches:  F0 F1 B0 F2 B1 F3 B2 B3
std::vector<Step> schedule_1f1b(int stage, int num_stages, int num_microbatches);

// The compute steps of one stage.
std::vector<Step> make_schedule(ScheduleKind kind, int stage, int num_stages, int num_microbatches);

// Adds the transfers: an activation is received before its forward and sent after it, a gradient
// likewise backward.
std::vector<Step> add_transfers(const std::vector<Step>& steps, int stage, int num_stages);

// Largest number of microbatches whose forward is done and whose backward is not, over the list.
int max_in_flight(const std::vector<Step>& steps);

// "F0 F1 B0 ...", with rA/sA/rG/sG for transfers.
std::string to_text(const std::vector<Step>& steps);

}  // namespace galvatron::plan
