// A strategy for every layer of a pipeline stage: exact, under a limit in whole bytes, transition
// costs included. Unit-free: it sees tables of numbers and knows nothing of devices.
//
// A stage is built from its last layer to its first, one layer at a time, as labels: one label per
// choice that no other one dominates. Stages that end alike share their labels: a tree whose edges
// are layer types, read from the right. Where layers are of one type a node is "the last k layers",
// so every stage length comes out of one pass.
//
// Memory of a stage (cost/cost_tables.h): sum fixed + V(first),
//   V(i) = kept(i) + max(transient(i, i + 1), V(i + 1)),   V after the last = 0.
#pragma once
#include <array>
#include <cstdint>
#include <limits>
#include <vector>

namespace galvatron::search {

// One strategy of a layer type. `time` and `time2` are two times whose maxima over the stages count
// apart (GPipe's forward and backward); time2 is 0 where one is enough. `once` is paid once.
struct LayerOption {
  double time = 0, time2 = 0, once = 0;
  std::int64_t fixed = 0;  // bytes for the whole stage
  std::int64_t kept = 0;   // bytes from this layer on, while the newest microbatch is deeper in
  int layout = 0;
  int id = 0;  // the caller's name of it
};

// Bytes beside what is kept, while a pair of neighbours runs: by whether the first of the pair is
// the stage's first and the second its last.
struct PairTransient {
  std::array<std::int64_t, 4> bytes{};  // [2 * a_is_first + b_is_last]
};

struct StageTables {
  std::vector<std::vector<LayerOption>> options;  // [type]
  // [type a][type b][a * options[type b].size() + b]: a runs in front of b.
  std::vector<std::vector<std::vector<PairTransient>>> pair;
  std::vector<std::vector<std::int64_t>> alone;  // [type][option], of the stage's last layer
  int num_layouts = 0;
  std::vector<double> transition, transition2;  // [from * num_layouts + to]
  std::int64_t capacity = 0;
};

// Labels whose numbers exceed these are of no use.
struct StageLimits {
  double time = std::numeric_limits<double>::infinity();
  double time2 = std::numeric_limits<double>::infinity();
  double once = std::numeric_limits<double>::infinity();
  // Most labels kept per option; more, and the result is a good one instead of the best (a beam).
  std::size_t max_labels = std::numeric_limits<std::size_t>::max();
  // How `once` weighs against `time` and `time2` where a beam must choose.
  double once_weight = 1;
};

// One choice for a whole stage.
struct StageChoice {
  double time = 0, time2 = 0, once = 0;
  std::int64_t bytes = 0;
  int first_layout = 0, last_layout = 0;
  int node = 0, option = 0, label = 0;  // for options_of()
};

class StageTree {
 public:
  // Reference: the owner outlives the tree.
  StageTree(const StageTables& tables, const StageLimits& limits);

  static constexpr int kRoot = 0;
  // The stage that has a layer of `type` in front of those of `node`.
  int child(int node, int type);

  // Choices for the stage of exactly these layers, not dominated in (time, time2, once) for equal
  // first and last layouts. The reference lives until the next call.
  const std::vector<StageChoice>& choices(int node);

  // Option ids of the stage's layers, first to last.
  std::vector<int> options_of(const StageChoice& choice) const;

  // False once a beam has dropped a label.
  bool exact() const { return exact_; }
  std::int64_t num_labels() const { return num_labels_; }

 private:
  struct Label {
    std::int64_t sum = 0;   // of `fixed`
    std::int64_t peak = 0;  // sum + V
    double time = 0, time2 = 0, once = 0;
    int last_layout = 0;
    int next_option = -1, next_label = -1;  // of the layer behind
  };
  using Labels = std::vector<std::vector<Label>>;  // [option]
  struct Node {
    int parent = -1, type = -1, depth = 0;
    std::vector<int> children;  // by type; -1: none
    bool opened = false, closed = false;
    Labels open;   // more layers follow in front
    Labels close;  // this is the stage's first layer
    std::vector<StageChoice> choices;
  };

  void open(int node);
  void close(int node);
  Labels extend(int node, bool is_first);
  void add(std::vector<Label>& labels, const Label& label) const;
  void trim(std::vector<Label>& labels);
  bool within_limits(const Label& label) const;

  const StageTables& tables_;
  StageLimits limits_;
  std::int64_t largest_transient_ = 0;
  std::vector<Node> nodes_;
  bool exact_ = true;
  std::int64_t num_labels_ = 0;
};

}  // namespace galvatron::search
