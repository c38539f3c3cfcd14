// A pipeline schedule is a list of steps per pipeline rank: data first, execution second. A
// schedule says in which order a rank computes; passes (schedule_passes.h) add what it sends,
// gathers and reduces; check_schedule.h judges the result. The executor runs the list, the cost
// model times it, the timeline draws it.
//
// A pipeline rank is the place of a stage's ranks. It runs one stage, or several under an
// interleaved schedule: stage s is chunk s / pp_degree of pipeline rank s % pp_degree.
#pragma once
#include <span>
#include <string>
#include <vector>

namespace galvatron::plan {

enum class ScheduleKind { kGPipe, k1F1B, kInterleaved, kZeroBubbleH1 };

enum class Action {
  // Compute. A forward or backward has the layers of its stage one after the other.
  kForward,
  kBackward,
  // The gradients of weights, where a schedule keeps them apart from those of inputs: then a
  // microbatch's kBackward makes the gradient of the stage's input alone, and this the rest, later.
  // The executor so far runs both at kBackward.
  kWeightGradient,
  // Transfers between stages, which belong to the step behind or in front of them. A receive waits
  // for what was posted before.
  kRecvActivation,
  kSendActivation,
  kRecvGradient,
  kSendGradient,
  kPostActivation,
  kPostGradient,
  // Inside a stage: the streams in front of a layer from one layout to another, and back.
  kMoveActivation,
  kMoveGradient,
  // Parameter units. kGather starts what the layer that uses it waits for; kReduce starts what
  // kFinishReduce waits for.
  kGather,
  kFree,
  kAddGradients,  // those of a microbatch to the step's, of all units of a layer
  kReduce,
  kFinishReduce,
  kReduceTie  // over the pipeline ranks that hold a copy
};

struct Step {
  Action action = Action::kForward;
  int microbatch = 0;  // -1: of all of them
  int chunk = 0;       // which of the pipeline rank's stages
  int layer = -1;      // of the model; -1: all of the stage
  int unit = -1;       // of the pipeline rank, for the actions of parameter units
  bool operator==(const Step&) const = default;
};

// What a schedule's steps depend on beside the pipeline rank.
struct ScheduleShape {
  int pp_degree = 1;
  int num_microbatches = 1;
  int stages_per_rank = 1;
  int num_stages() const { return pp_degree * stages_per_rank; }
  int stage(int pp_rank, int chunk) const { return chunk * pp_degree + pp_rank; }
};

// Formula of the step time, where there is one (cost/pipeline_time.h): what follows the first
// microbatch goes at the pace of
enum class ClosedForm {
  kNone,           // unknown: only the simulation tells
  kSlowestStage,   // the largest forward + backward of a stage
  kSlowestPhases,  // the largest forward and the largest backward
  kSlowestOfEachChunk
};

struct ScheduleTraits {
  ScheduleKind kind;
  const char* name;  // in files and on the command line
  const char* help;
  // The compute steps of one pipeline rank. REQUIRES: as make_schedule().
  std::vector<Step> (*make)(int pp_rank, const ScheduleShape& shape);
  // Stages of a pipeline rank where nobody says how many: the fewest that the schedule is for. 1:
  // it is for one stage per rank.
  int usual_stages_per_rank = 1;
  // Does a long step repeat its middle with every pp_degree microbatches, so that it never holds
  // more than a step of a few times pp_degree?
  bool steady = true;
  ClosedForm closed_form = ClosedForm::kNone;
  // May the search choose it? It knows closed forms only, and only what the executor does.
  bool searched = true;
  // What makes its prediction better than what runs, as the rest of "... is priced as if"; null:
  // nothing, the executor does what the lists say.
  const char* priced_as_if = nullptr;
  bool several_stages() const { return usual_stages_per_rank > 1; }
};

// Every schedule, in the order of the enumerators. The only place that knows them one by one
// (schedules.cpp).
std::span<const ScheduleTraits> schedules();
const ScheduleTraits& traits(ScheduleKind kind);

std::string to_text(ScheduleKind kind);                // "1f1b"
ScheduleKind parse_schedule(const std::string& text);  // ConfigError
const std::vector<std::string>& schedule_names();
const std::vector<std::string>& searched_schedule_names();
// "1f1b: ...; interleaved: ...": for help texts.
std::string schedule_help();
// The first that has this closed form and that a search may choose.
ScheduleKind schedule_with(ClosedForm form);

// The compute steps of one pipeline rank.
std::vector<Step> make_schedule(ScheduleKind kind, int pp_rank, int pp_degree, int num_microbatches,
                                int stages_per_rank = 1);
// Of all of them.
std::vector<std::vector<Step>> make_schedules(ScheduleKind kind, const ScheduleShape& shape);

// Largest number of microbatches whose forward is done and whose backward is not, over the list;
// each chunk's are counted.
int max_in_flight(const std::vector<Step>& steps);

// "F0 F1 B0 ...", W for weight gradients, rA/sA/rG/sG for transfers, and the chunk behind a point
// unless it is the first: "F0.1". Layers and units behind a colon: "G:3 F0:2".
std::string to_text(const std::vector<Step>& steps);
std::string to_text(const Step& step);

}  // namespace galvatron::plan
