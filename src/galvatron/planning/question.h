// What is planned for, with every number that an answer needs: model, job, machine, memory. The
// commands that answer without running anything (search, simulate, check) begin with one.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "galvatron/base/option.h"
#include "galvatron/cost/cost_model.h"
#include "galvatron/planning/calibration.h"
#include "galvatron/profiles/cluster_overrides.h"

namespace galvatron::planning {

// Where the numbers of the machine come from, as a user names it; empty: not given.
struct MachineFiles {
  std::string hardware;     // profile of profile-hardware
  std::string profile;      // profile of profile-model
  std::string cluster;      // data sheet: a name, a file or NODESxDEVICESxDEVICE:NETWORK
  std::string calibration;  // file of report --calibrate
};
OptionList machine_options(MachineFiles& files);
// The last of them alone.
OptionList calibration_options(std::string& file);

// What is known about the machine: measured profiles, or a data sheet in the place of those that
// are not there.
struct MachineKnowledge {
  std::optional<profiles::HardwareProfile> hardware;
  std::optional<profiles::ModelProfile> profile;
  std::optional<profiles::Cluster> cluster;
  std::optional<Calibration> calibration;
};
// ConfigError for a file that cannot be read, or a name that nobody knows.
MachineKnowledge read_machine(const MachineFiles& files);

// Memory that plans leave free, because predictions err: a share of what a device has, or bytes.
struct MemoryMargin {
  double share = 0;  // [0, 1)
  Bytes bytes;
  Bytes of(Bytes memory) const;
  bool operator==(const MemoryMargin&) const = default;
};
// ConfigError for memory that has been given without its unit.
void require_unit(std::optional<Bytes> memory);

// "5%", "2GiB", "0". ConfigError otherwise.
MemoryMargin parse_margin(const std::string& text, const std::string& what);
std::string to_text(const MemoryMargin& margin);

// A question in the user's words. What is not set follows from model and machine.
struct QuestionRequest {
  int world_size = 0;  // 0: all ranks of the cluster, or without one of the hardware profile
  profiles::ClusterOverrides cluster;  // in the place of the cluster's own numbers
  std::optional<Bytes> memory;  // that a plan may use of one device; unset: all it has, less margin
  std::optional<Bytes> memory_reserve;
  // Unset: with `memory` nothing; else as far as predictions were seen to err.
  std::optional<MemoryMargin> memory_margin;
  bool needs_memory = true;     // else it may be that nobody knows a device's
  std::int64_t seq_length = 0;  // tokens of a sample; 0: the profile's, else the model's (8192 at
                                // most)
  std::int64_t attended_length = 0;  // JobSpec::attended_length
  // Unset: that of the model's profile, else what is fast on the device.
  std::optional<spec::Precision> precision;
  std::string optimizer = spec::default_optimizer().name;
  spec::CommunicationWish communication;
  std::optional<double> tokens;  // of the whole training: how long it takes
};
// `request` must outlive the lists: for the command line and Python.
OptionList question_options(QuestionRequest& request);
OptionList memory_options(QuestionRequest& request);  // of these, what other questions ask too
OptionList tokens_option(QuestionRequest& request);
// `otherwise`: what 0 stands for.
OptionList attended_option(QuestionRequest& request, const std::string& otherwise);

struct Question {
  spec::ModelSpec model;
  spec::JobSpec job;
  profiles::HardwareProfile hardware;  // world_size, memory_reserve: those of the question
  profiles::ModelProfile profile;      // prepared for model and job
  plan::StepKinds factors{1};          // of a calibration
  // That plans may use of one device, the reserve included; 0 where nobody knows.
  Bytes memory;
  Bytes memory_given;  // by --memory, or what a device has: with the margin
  MemoryMargin margin;
  bool margin_is_given = false;  // else it follows from what else is known
  double peak_flops = 0;  // dense, of one device in the job's precision, per second; 0: not known
  std::optional<double> tokens;

  cost::CostInputs inputs() const { return {model, job, hardware, profile, factors}; }
  // The same with another batch.
  cost::CostInputs inputs(std::int64_t global_batch) const;
};

// Tokens of a sample where nothing says them.
std::int64_t usual_seq_length(const spec::ModelSpec& model);

// ConfigError for what is missing or contradicts itself.
Question prepare_question(const QuestionRequest& request, spec::ModelSpec model,
                          MachineKnowledge knowledge);

}  // namespace galvatron::planning
