// How one layer is spread over the ranks of its pipeline stage, and the description of every field
// of that: kStrategyFields. Plan JSON, check_plan, text, the train command's options, --allow and
// --forbid, Python and the tables iterate over it, so that a new field is a member and an entry.
#pragma once
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <tuple>

#include "galvatron/base/enum_names.h"
#include "galvatron/spec/model_spec.h"

namespace galvatron::plan {

// Of a world, and so of any degree.
inline constexpr int kMaxRanks = 1 << 20;

// What a layer's backward computes again instead of keeping: nothing; the attention core (rotary
// embedding and softmax(QK^T)V); the whole layer from its input.
enum class Recompute { kNone, kSelective, kFull };

constexpr EnumNames<3> names_of(Recompute) { return {"recompute", {"none", "selective", "full"}}; }
inline std::string to_text(Recompute recompute) { return enum_text(recompute); }

// Why a layer of the kind cannot have it; nullptr: it can.
constexpr const char* recompute_misfit(spec::LayerKind kind, Recompute recompute) {
  if (kind == spec::LayerKind::kBlock || recompute == Recompute::kNone) return nullptr;
  if (kind == spec::LayerKind::kHead) return "the head never keeps its logits";
  if (kind == spec::LayerKind::kEmbedding) return "an embedding keeps next to nothing";
  return recompute == Recompute::kFull ? nullptr : "merging patches has no attention";
}

struct LayerStrategy {
  // Megatron tensor parallel; activations outside it are split along the sequence.
  int tp_degree = 1;
  int ulysses_degree = 1;  // DeepSpeed-Ulysses: sequence outside attention, heads inside
  int cp_degree = 1;       // context parallel (1 until the runtime has it)
  int ep_degree = 1;       // expert parallel (1 until the runtime has it)
  // 0 all replicated, 1 optimizer states sharded, 2 and gradients, 3 and parameters.
  int zero_stage = 0;
  // ZeRO shards over so many ranks that lie side by side and replicates over the rest of those that
  // hold the same parameters. 0: over all of them.
  int shard_degree = 0;
  Recompute recompute = Recompute::kNone;
  // TP ranks are neighbours, on the fastest links. false: they lie as far apart as the stage
  // allows, and the ranks that hold the same parameters are neighbours instead.
  bool tp_consecutive = true;

  // Ways in which the sequence is split at the layer's border.
  int seq_degree() const;
  bool operator==(const LayerStrategy&) const = default;
};

// T: int, bool, or an enum with names. The default is that of LayerStrategy{}.
template <typename T>
struct StrategyField {
  T LayerStrategy::* member;
  const char* name;   // in plan JSON, --allow and Python; with dashes the option
  const char* help;   // one sentence
  const char* label;  // heads its column of a table
  // In the short text: of a number, before it ("tp2"); of a bool, instead of it where it is not the
  // default ("-strided": joined to the field before it); of an enum unused, its names suffice.
  const char* word = "";
  int least = 0;  // of numbers, inclusive
  int most = kMaxRanks;
  bool splits_sequence = false;
  bool tied = false;  // layers that share a weight must agree
  // Not supported yet: what to use instead of any value but the default. nullptr: supported.
  const char* instead = nullptr;
  // Why a layer of the kind cannot have a value; nullptr, or its answer nullptr: it can.
  const char* (*misfit)(spec::LayerKind, T) = nullptr;

  static constexpr bool kIsNumber = std::is_same_v<T, int>;
  static constexpr bool kIsBool = std::is_same_v<T, bool>;

  constexpr T standard() const { return LayerStrategy{}.*member; }
  constexpr bool supported() const { return instead == nullptr; }
  constexpr bool open_ended() const { return most == kMaxRanks; }
  constexpr bool joins_previous() const { return *word == '-'; }
  constexpr bool fits(spec::LayerKind kind, T value) const {
    return misfit == nullptr || misfit(kind, value) == nullptr;
  }
};

// In the order in which people read them.
inline constexpr std::tuple kStrategyFields{
    StrategyField<int>{.member = &LayerStrategy::tp_degree,
                       .name = "tp_degree",
                       .help = "Ranks that share each layer's matrices",
                       .label = "tp",
                       .word = "tp",
                       .least = 1,
                       .splits_sequence = true,
                       .tied = true},
    StrategyField<bool>{
        .member = &LayerStrategy::tp_consecutive,
        .name = "tp_consecutive",
        .help = "Put these side by side; false: the ranks that hold the same parameters instead",
        .label = "tp consecutive",
        .word = "-strided",
        .tied = true},
    StrategyField<int>{.member = &LayerStrategy::ulysses_degree,
                       .name = "ulysses_degree",
                       .help = "Ranks that share each sequence (DeepSpeed-Ulysses)",
                       .label = "ulysses",
                       .word = "uly",
                       .least = 1,
                       .splits_sequence = true},
    StrategyField<int>{.member = &LayerStrategy::cp_degree,
                       .name = "cp_degree",
                       .help = "Ranks that share each sequence (context parallelism)",
                       .label = "cp",
                       .word = "cp",
                       .least = 1,
                       .splits_sequence = true,
                       .instead = "1, and ulysses_degree to split the sequence"},
    StrategyField<int>{.member = &LayerStrategy::ep_degree,
                       .name = "ep_degree",
                       .help = "Ranks that share each layer's experts",
                       .label = "ep",
                       .word = "ep",
                       .least = 1,
                       .instead = "1"},
    StrategyField<int>{
        .member = &LayerStrategy::zero_stage,
        .name = "zero_stage",
        .help = "Shard over data-parallel ranks: 1 optimizer, 2 and gradients, 3 and parameters",
        .label = "zero",
        .word = "zero",
        .most = 3,
        .tied = true},
    StrategyField<int>{
        .member = &LayerStrategy::shard_degree,
        .name = "shard_degree",
        .help = "Ranks side by side that ZeRO shards over, replicating over the rest; 0: all",
        .label = "shard",
        .word = "shard",
        .tied = true},
    StrategyField<Recompute>{.member = &LayerStrategy::recompute,
                             .name = "recompute",
                             .help = "What each block computes again in backward",
                             .label = "recompute",
                             .misfit = &recompute_misfit},
};

// visit(field) for each.
template <class Visitor>
constexpr void for_each_field(Visitor&& visit) {
  std::apply([&](const auto&... field) { (visit(field), ...); }, kStrategyFields);
}

template <class Visitor>
constexpr void for_each_supported_field(Visitor&& visit) {
  for_each_field([&](const auto& field) {
    if (field.supported()) visit(field);
  });
}

// "4", "true", "full".
inline std::string value_text(int value) { return std::to_string(value); }
inline std::string value_text(bool value) { return value ? "true" : "false"; }
template <NamedEnum E>
std::string value_text(E value) {
  return enum_text(value);
}

inline int LayerStrategy::seq_degree() const {
  int degree = 1;
  for_each_field([&](const auto& field) {
    if (field.splits_sequence) degree *= static_cast<int>(this->*field.member);
  });
  return degree;
}

inline constexpr std::size_t kNumTiedFields =
    std::apply([](const auto&... field) { return (std::size_t{0} + ... + (field.tied ? 1 : 0)); },
               kStrategyFields);

// How a layer divides and shards its parameters: the fields on which layers that share a weight
// must agree, in the order of the table.
std::array<int, kNumTiedFields> tied_values(const LayerStrategy& strategy);

// Do both divide and shard parameters alike, so that two layers can share one?
bool split_parameters_alike(const LayerStrategy& a, const LayerStrategy& b);

// The first field on which they do not, such as "tp_degree", and its two values.
struct TiedDifference {
  std::string name, one, other;
};
std::optional<TiedDifference> tied_difference(const LayerStrategy& a, const LayerStrategy& b);

// What is wrong with the values themselves: out of range, not supported yet, or not for a layer of
// the kind. nullopt: nothing.
std::optional<std::string> range_problem(const LayerStrategy& strategy);
std::optional<std::string> misfit_problem(const LayerStrategy& strategy, spec::LayerKind kind);

// The same strategy with defaults where a layer of the kind cannot have the value.
LayerStrategy fitted(LayerStrategy strategy, spec::LayerKind kind);

// "tp2 uly4 zero3 full", "tp2-strided" where TP ranks are no neighbours, "dp" alone for the plain
// strategy: for tables and messages.
std::string to_text(const LayerStrategy& strategy);

}  // namespace galvatron::plan
