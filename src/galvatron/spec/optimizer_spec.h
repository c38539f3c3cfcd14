// What planning knows of an optimizer: what it keeps, what a step of it costs, what can be set. How
// it updates weights is train/optimizers/<name>.cpp; to add one: docs/dev/add_a_optimizer.md.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/spec/param_spec.h"

namespace galvatron::spec {

struct OptimizerOption {
  std::string name;  // "adam_eps" in files and Python, "--adam-eps" on the command line
  double standard = 0;
  double min = 0, max = 0;
  std::string help;
  bool below_max = false;  // `max` itself would divide by 0, or never forget
};

struct OptimizerSpec {
  std::string name;
  // Tensors like the master weights, of the same precision (state_bytes()): one element of each for
  // every weight. Named as torch.optim names them; checkpoints use the names.
  std::vector<std::string> states;
  std::vector<OptimizerOption> options;
  // Matrices of blocks (LayerSpec::is_block_matrix) are updated whole, each by one of the ranks
  // that share them, and made orthogonal there (matrix_flops()); the states named here are of all
  // other parameters alone.
  bool takes_matrices = false;
  std::vector<std::string> not_of_matrices = {};

  // Parameters of two dimensions and more keep means of their rows and of their columns (the first
  // two states), whole on every rank that has a part of them, and vectors the third state.
  bool factors = false;

  bool keeps(const std::string& state, bool of_matrix) const;
  // The whole of a state of a parameter, as in a checkpoint; empty: it has none.
  std::vector<std::int64_t> state_shape(const std::string& state, const ParamSpec& param,
                                        bool of_matrix) const;
  // Elements that an update reads and writes for each weight: the gradient once, the weight and
  // every state twice.
  int words() const {
    constexpr int kWithoutMoments = 8;  // the gradient is read three times, the weight twice
    return factors ? kWithoutMoments : 3 + 2 * static_cast<int>(states.size());
  }
  // Time of a step's end over that of default_optimizer(). It is bound by memory: words(), and two
  // more of the gradient, which the norm reads and clipping writes back.
  double relative_time() const;
};

// Of Newton and Schulz, that make a matrix orthogonal.
inline constexpr int kOrthogonalSteps = 5;
// FLOPs of them, all segments of a fused matrix (q, k, v) by themselves.
double matrix_flops(const ParamSpec& matrix);
// Rows of the matrices that a parameter is: one, or those of its segments.
std::vector<Range> matrix_rows(const ParamSpec& matrix);

// All there are, the default first.
const std::vector<OptimizerSpec>& optimizers();
// AdamW; hardware profiles hold its time.
const OptimizerSpec& default_optimizer();
const std::vector<std::string>& optimizer_names();
const OptimizerSpec& find_optimizer(const std::string& name);  // ConfigError

// Every option once. Where optimizers share one and differ, or not all have it, `help` says so;
// `standard` is the first one's.
const std::vector<OptimizerOption>& optimizer_options();

// An optimizer with the options that were set; the others have their defaults.
class OptimizerChoice {
 public:
  OptimizerChoice() : OptimizerChoice(default_optimizer().name, {}) {}
  // ConfigError for an unknown optimizer, or an option that only others have.
  OptimizerChoice(const std::string& name, std::map<std::string, double> values);

  // Name and options one by one, in any order; check() when all are there.
  void choose(const std::string& name);  // ConfigError for an unknown optimizer
  void set(const std::string& option, double value) { values_[option] = value; }
  void check() const;  // ConfigError for an option that only others have

  const OptimizerSpec& spec() const { return *spec_; }
  // nullopt: it is no option of the optimizer.
  std::optional<double> find(const std::string& option) const;
  // REQUIRES: an option of the optimizer.
  double value(const std::string& option) const;

 private:
  const OptimizerSpec* spec_;
  std::map<std::string, double> values_;
};

}  // namespace galvatron::spec
