// What one plan saves, any other reads: random models of every family, random pairs of plans on 1
// to 8 ranks, every element of the weights and of the optimizer's states to the bit.
#include <filesystem>
#include <set>

#include <gtest/gtest.h>
#include <unistd.h>

#include "galvatron/nn/counter_random.h"

#include "runtime/checkpointing_rank.h"
#include "runtime/random_plan.h"
#include "test_threads.h"

namespace galvatron::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kPairs = 60;
constexpr std::uint64_t kSavedSeed = 3, kOtherSeed = 4;

// A state of the optimizer is another function of the same element.
at::Tensor state_of(const at::Tensor& master, std::size_t number) {
  return master * 2 + static_cast<double>(number + 1);
}

at::Tensor whole_of(const at::Tensor& like, const std::string& name) {
  at::Tensor out = at::empty(like.sizes(), at::kDouble);
  nn::fill_normal(out.data_ptr<double>(), out.numel(), nn::random_key(9, name), 0, 1);
  return out;
}

struct Rank : CheckpointingRank {
  using CheckpointingRank::CheckpointingRank;

  void fill_states() {
    const std::vector<std::string>& names = trainer.optimizer().spec().states;
    for (runtime::ParamUnit* unit : engine.units()) {
      for (std::size_t i = 0; i < names.size(); ++i) {
        at::Tensor& state = trainer.optimizer().state(*unit, names[i]);
        const std::int64_t left_out = unit->owned().size() - state.numel();
        state.copy_(state_of(unit->master().slice(0, left_out), i));
      }
      for (std::size_t s = 0; s < unit->slots().size(); ++s) {
        for (const std::string& name : names) {
          at::Tensor whole = trainer.optimizer().whole_state(*unit, static_cast<int>(s), name);
          if (whole.defined()) whole.copy_(whole_of(whole, unit->slots()[s].full_name + name));
        }
      }
    }
  }

  // Of states that every rank has whole, that differ.
  std::int64_t num_of_whole_states(const runtime::ParamUnit& unit, const runtime::ParamSlot& slot) {
    std::int64_t out = 0;
    for (const std::string& name : trainer.optimizer().spec().states) {
      const at::Tensor whole =
          trainer.optimizer().whole_state(unit, unit.slot_of(slot.full_name), name);
      if (whole.defined())
        out += whole.ne(whole_of(whole, slot.full_name + name)).sum().item<std::int64_t>();
    }
    return out;
  }

  // Elements of parameters, which the padding behind them is not, that differ from `expected`'s.
  std::int64_t num_different(Rank& expected) {
    const std::vector<std::string>& names = trainer.optimizer().spec().states;
    const auto units = engine.units(), theirs = expected.engine.units();
    std::int64_t out = 0;
    for (std::size_t u = 0; u < units.size(); ++u) {
      for (const runtime::ParamSlot& slot : units[u]->slots()) {
        const Range owned = units[u]->owned();
        const Range held = intersect(Range{slot.offset, slot.offset + slot.numel}, owned);
        out += num_of_whole_states(*units[u], slot);
        if (held.empty()) continue;
        const auto part = [&](const at::Tensor& flat) {
          return flat.narrow(0, held.begin - owned.begin, held.size());
        };
        const at::Tensor truth = part(theirs[u]->master());
        out += part(units[u]->master()).ne(truth).sum().item<std::int64_t>();
        for (std::size_t i = 0; i < names.size(); ++i) {
          const Range has = trainer.optimizer().held_of(*units[u], names[i]);
          if (intersect(held, has).empty()) continue;
          const at::Tensor state = trainer.optimizer()
                                       .state(*units[u], names[i])
                                       .narrow(0, held.begin - has.begin, held.size());
          out += state.ne(state_of(truth, i)).sum().item<std::int64_t>();
        }
      }
    }
    return out;
  }
};

TEST(Resharding, EveryElementSurvivesEveryPairOfPlans) {
  const fs::path folder =
      fs::path(::testing::TempDir()) / ("galvatron_resharding_" + std::to_string(getpid()));
  std::set<std::string> families;
  std::set<int> world_sizes;
  for (std::uint64_t seed = 1; seed <= kPairs; ++seed) {
    fs::remove_all(folder);
    const FuzzCase test = fuzz_case(seed);
    Random random(seed + 1000);
    const int world_size = std::vector{1, 2, 3, 4, 6, 8}[seed % 6];
    const plan::Plan after = random_plan(random, test.job, world_size);
    families.insert(test.job.model.config.at("model_type").get<std::string>());
    world_sizes.insert({test.plan.world_size, world_size});
    comm::run_rank_threads(test.plan.world_size, [&](comm::World& world) {
      const at::NoGradGuard no_grad;
      use_test_threads();
      Rank rank(test.job, test.plan, world, kSavedSeed);
      rank.fill_states();
      train::save_checkpoint(folder, rank.engine, rank.trainer, {"run", test.job.seq_length});
    });
    const fs::path checkpoint = train::checkpoint_candidates(folder).paths.front();
    comm::run_rank_threads(world_size, [&](comm::World& world) {
      const at::NoGradGuard no_grad;
      use_test_threads();
      Rank rank(test.job, after, world, kOtherSeed), expected(test.job, after, world, kSavedSeed);
      train::load_checkpoint(checkpoint, rank.engine, rank.trainer);
      EXPECT_EQ(rank.num_different(expected), 0)
          << "pair " << seed << ": " << describe(test) << " -> " << plan::summarize(after);
    });
  }
  fs::remove_all(folder);
  EXPECT_GE(families.size(), 6U);
  EXPECT_EQ(world_sizes, (std::set<int>{1, 2, 3, 4, 6, 8}));
}

}  // namespace
}  // namespace galvatron::testing
