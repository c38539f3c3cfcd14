// How one layer is spread over the ranks of its pipeline stage.
#pragma once
#include <string>
#include <vector>

namespace galvatron::plan {

// What a layer's backward computes again instead of keeping: nothing; the attention core (rotary
// embedding and softmax(QK^T)V); the whole layer from its input.
enum class Recompute { kNone, kSelective, kFull };

std::string to_text(Recompute recompute);            // "none", "selective", "full"
Recompute parse_recompute(const std::string& text);  // ConfigError
const std::vector<std::string>& recompute_names();

struct LayerStrategy {
  // Megatron tensor parallel; activations outside it are split along the sequence.
  int tp_degree = 1;
  int ulysses_degree = 1;  // DeepSpeed-Ulysses: sequence outside attention, heads inside
  int cp_degree = 1;       // context parallel (1 until the runtime has it)
  int ep_degree = 1;       // expert parallel (1 until the runtime has it)
  // 0 all replicated, 1 optimizer states sharded, 2 and gradients, 3 and parameters.
  int zero_stage = 0;
  Recompute recompute = Recompute::kNone;
  // TP ranks are neighbours, on the fastest links. false: they lie as far apart as the stage
  // allows, and the ranks that hold the same parameters are neighbours instead.
  bool tp_consecutive = true;

  // Ways in which the sequence is split at the layer's border.
  int seq_degree() const { return tp_degree * ulysses_degree * cp_degree; }
  bool operator==(const LayerStrategy&) const = default;
};

// Do both divide and shard parameters alike, so that two layers can share one?
bool split_parameters_alike(const LayerStrategy& a, const LayerStrategy& b);

// "tp2 uly4 zero3 full", "tp2-strided" where TP ranks are no neighbours, "dp" alone for the plain
// strategy: for tables and messages.
std::string to_text(const LayerStrategy& strategy);

}  // namespace galvatron::plan
