// How one parameter of a layer is declared: once, here, for the cost model, the model code,
// sharding, checkpoints and weight import alike.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "galvatron/base/partition.h"

namespace galvatron::spec {

enum class InitKind { kZeros, kOnes, kNormal };

struct Init {
  InitKind kind = InitKind::kZeros;
  double stddev = 0;  // of kNormal, mean 0
  // Of each segment of the split dimension, where they differ.
  std::vector<double> stddev_of_segment = {};
  double stddev_at(std::size_t segment) const {
    return stddev_of_segment.empty() ? stddev : stddev_of_segment[segment];
  }
  bool operator==(const Init&) const = default;
};

// How tensor parallelism divides a parameter: along `dim`, each segment for itself, in whole units.
// A fused qkv weight has three segments with the head size as unit; a fused gate/up weight has two
// with unit 1; a rank's part is the concatenation of its chunk of every segment.
struct TensorSplit {
  int dim = -1;                        // -1: not divided, every rank of the layer holds all of it
  std::vector<std::int64_t> segments;  // lengths along `dim`; their sum is shape[dim]
  std::int64_t unit = 1;  // elements along `dim` that stay together; divides every segment
  bool divided() const { return dim >= 0; }
  bool operator==(const TensorSplit&) const = default;
};

struct ParamSpec {
  std::string name;                 // within its layer: "attention.qkv.weight"
  std::vector<std::int64_t> shape;  // global
  TensorSplit split;
  Init init;
  bool weight_decay = true;  // false for biases, norms and other one-dimensional parameters
  std::string
      tied_name;  // not empty: one parameter with every other of this name ("tokens.weight")
  bool multiplies_tokens = false;  // a whole matrix that every token of the layer goes through

  std::int64_t numel() const;
  bool operator==(const ParamSpec&) const = default;
};

// The parts of dimension `split.dim` that TP rank `tp_rank` of `tp_degree` holds, in order, as
// global ranges. The whole dimension as one range where the parameter is not divided. REQUIRES:
// shape is not empty.
std::vector<Range> local_ranges(const ParamSpec& param, int tp_degree, int tp_rank);

// Shape of the part that TP rank `tp_rank` holds.
std::vector<std::int64_t> local_shape(const ParamSpec& param, int tp_degree, int tp_rank);
std::int64_t local_numel(const ParamSpec& param, int tp_degree, int tp_rank);
// The largest part over all TP ranks.
std::int64_t largest_local_numel(const ParamSpec& param, int tp_degree);

}  // namespace galvatron::spec
