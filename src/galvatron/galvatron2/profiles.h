// Reader of Galvatron-2's profile files, under their own names and with their own keys: one folder
// with allreduce_bandwidth_*, p2p_bandwidth_*, sp_time_*, overlap_coefficient,
// computation_profiling_* and memory_profiling_*. Both its current line's spelling and v2.4.0's are
// read.
//
// Units as in those files: MB is 2^20 bytes, time is ms, bandwidth is MB per ms.
#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "galvatron/spec/job_spec.h"

namespace galvatron::galvatron2 {

// How the computation profile was swept, and so what its numbers mean.
enum class TimeMode {
  kStatic,    // one value per layer type
  kBatch,     // at least 8 batch sizes: time is linear in the batch size
  kSequence,  // several sequence lengths at batch size 1: quadratic for layers, linear for the rest
};
enum class MemoryMode {
  kStatic,    // the sequence length at hand was measured
  kSequence,  // activations of the longest length, scaled
};
TimeMode parse_time_mode(const std::string& text);      // ConfigError
MemoryMode parse_memory_mode(const std::string& text);  // ConfigError

// Numbers by degree, with the file and the key that a missing one is reported under.
struct Table {
  std::string file;
  std::string key_before, key_after;  // around the degree: "allreduce_size_", "_consec_1"
  std::map<int, double> values;
  // ConfigError naming file and key.
  double at(int degree) const;
};

// Times of one collective over message sizes: the measured size, else the fitted line.
struct MessageTimes {
  std::map<int, double> ms_by_mb;
  double slope = 0, intercept = 0;
  double at(double mb) const;
};

struct GroupTimes {
  std::string file;
  std::string operation;  // "allreduce", "all2all"
  std::map<int, MessageTimes> by_degree;
  const MessageTimes& at(int degree) const;  // ConfigError naming file and key
};

// Embedding and head together: 4 times the fp32 parameters, and activations of one sample, over
// the vocabulary's degree.
struct OtherMemory {
  Table model_states;
  Table activation;
};

// ms = slope * samples + intercept.
struct TimeLine {
  double slope = 0, intercept = 0;
};

struct Profiles {
  std::string model;            // as the file names spell it
  Table strided_bandwidth;      // ..._consec_0
  Table consecutive_bandwidth;  // ..._consec_1
  Table p2p_bandwidth;
  GroupTimes all_reduce;
  GroupTimes all_to_all;
  double overlap_slowdown = 1;

  double parameter_mb = 0;  // fp32 parameters of one layer, not divided
  Table activation_mb;      // one layer and sample, by degree
  double recompute_activation_mb = 0;
  OtherMemory other_alone;  // without a pipeline
  OtherMemory other_first, other_last;
  TimeLine layer_forward;
  TimeLine other_forward;
};

struct ProfileQuery {
  std::filesystem::path directory;
  std::string model;  // empty: the only one there
  spec::Precision precision = spec::Precision::kBf16;
  int world_size = 8;
  int num_nodes = 0;  // 0: the only profile of that many devices
  std::int64_t seq_length = 2048;
  bool sequence_parallel = true;  // reads the keys that end in _sp
  TimeMode time_mode = TimeMode::kBatch;
  MemoryMode memory_mode = MemoryMode::kStatic;
  int max_degree = 8;  // largest TP or Ulysses degree that will be asked for
};

// ConfigError names the file and the key of what is missing, contradictory or out of range.
Profiles read_profiles(const ProfileQuery& query);

}  // namespace galvatron::galvatron2
