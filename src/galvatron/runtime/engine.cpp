#include "galvatron/runtime/engine.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/plan/step_kinds.h"
#include "galvatron/runtime/layer_runner.h"
#include "galvatron/runtime/logits_exchange.h"
#include "galvatron/runtime/stage_executor.h"
#include "galvatron/runtime/unit_builder.h"

namespace galvatron::runtime {

namespace {

// In fp64. Short pieces in their own type, which is several times faster than reading every element
// as fp64, and their sums in fp64: no piece is long enough to lose digits.
at::Tensor sum_of_squares(const at::Tensor& flat) {
  constexpr std::int64_t kPiece = 1024;
  const std::int64_t whole = flat.numel() / kPiece * kPiece;
  const auto squares = [](const at::Tensor& rows) {
    return at::linalg_vector_norm(rows, 2, at::IntArrayRef{1}).to(at::kDouble).square().sum();
  };
  const at::Tensor rest = squares(flat.narrow(0, whole, flat.numel() - whole).unsqueeze(0));
  return whole == 0 ? rest : squares(flat.narrow(0, 0, whole).view({-1, kPiece})) + rest;
}

// Of all stages of the rank, stage by stage.
std::vector<int> layers_of_rank(const plan::Plan& plan, int rank) {
  std::vector<int> out;
  for (const int stage : plan.pipeline.stages_of_rank(plan.pp_rank_of(rank))) {
    const Range layers = plan.layers_of_stage(stage);
    for (auto i = static_cast<int>(layers.begin); i < layers.end; ++i) out.push_back(i);
  }
  return out;
}

}  // namespace

struct Engine::State {
  spec::ModelSpec model;
  plan::Plan plan;
  comm::World* world = nullptr;
  EngineOptions options;
  Trace trace;
  std::vector<std::unique_ptr<ParamUnit>> units;
  std::vector<ParamHandle> parameters;
  std::unique_ptr<StageExecutor> executor;
  nn::Tables tables;
  double num_labels = 0;  // of the step that ran last

  State(const spec::ModelSpec& m, const plan::Plan& p, comm::World& w, const EngineOptions& o)
      : model(m), plan(p), world(&w), options(o) {
    trace.use_device(w.device());
  }

  void build(const LayerFactory& make_layer);
  // Adds the squares of all gradients that count on this rank; fp64.
  void add_squares(at::Tensor& sum) const;
  std::vector<double> sums_of_all(at::Tensor mine) const;
};

void Engine::State::build(const LayerFactory& make_layer) {
  world->create_groups(plan_rank_sets(model, plan));
  const int rank = world->rank();
  UnitBuilder builder(model, plan, *world);
  std::vector<std::unique_ptr<LayerRunner>> runners;
  for (const int i : layers_of_rank(plan, rank)) {
    const plan::RankLayout layout = plan.layout(i);
    const nn::LayerPlacement placement{
        {world->group(layout.tp_ranks(rank)), world->group(layout.ulysses_ranks(rank))},
        layout.strategy().recompute == plan::Recompute::kSelective,
        options.seed,
        options.linears};
    std::vector<ParamRef> refs = builder.add_layer(i);
    for (std::size_t p = 0; p < refs.size(); ++p)
      parameters.push_back({i, &model.layer(i).params[p], refs[p].unit, refs[p].slot});
    runners.push_back(std::make_unique<LayerRunner>(
        LayerRunnerOptions{&model, i, layout, rank, options.seq_length, options.label_smoothing,
                           &tables, &trace},
        make_layer(model, i, placement), std::move(refs)));
  }
  units = builder.take_units();
  std::vector<ParamUnit*> numbered;
  for (const auto& unit : units) numbered.push_back(unit.get());
  executor = std::make_unique<StageExecutor>(model, plan, *world, options.seq_length,
                                             std::move(runners), std::move(numbered), trace);
}

void Engine::State::add_squares(at::Tensor& sum) const {
  for (const auto& unit : units) {
    if (unit->counts_once()) sum.add_(sum_of_squares(unit->gradient()));
  }
}

// One reduction over all ranks, then the numbers themselves.
std::vector<double> Engine::State::sums_of_all(at::Tensor mine) const {
  world->all().all_reduce(mine);
  const at::Tensor sums = mine.cpu();
  const auto* numbers = sums.const_data_ptr<double>();
  return {numbers, numbers + sums.numel()};
}

Engine::Engine(const spec::ModelSpec& model, const plan::Plan& plan, comm::World& world,
               const LayerFactory& make_layer, const EngineOptions& options)
    : state_(std::make_unique<State>(model, plan, world, options)) {
  state_->build(make_layer);
  if (!options.initialise) return;
  for (const auto& unit : state_->units) unit->initialise(options.seed);
  publish();
}

Engine::~Engine() = default;

const spec::ModelSpec& Engine::model() const { return state_->model; }
const plan::Plan& Engine::plan() const { return state_->plan; }
comm::World& Engine::world() { return *state_->world; }
Trace& Engine::trace() { return state_->trace; }

void Engine::run_step(InputSource& input, std::int64_t step, double loss_scale) {
  state_->num_labels = input.num_labels();
  for (const auto& unit : state_->units) unit->start_step();
  state_->executor->run(input, step, loss_scale / state_->num_labels);
  const Trace::Scope scope(state_->trace, "spread gradients", "communication",
                           enum_text(plan::StepKind::kGradients));
  for (const auto& unit : state_->units) unit->finish_step();
}

StepTotals Engine::totals(double vote) {
  const at::NoGradGuard no_grad;
  const auto options = at::TensorOptions().dtype(at::kDouble).device(state_->world->device());
  at::Tensor sums = at::empty({3}, options);  // losses, squares, votes
  sums.narrow(0, 0, 1).copy_(state_->executor->take_sums().narrow(0, 0, 1));
  at::Tensor squares = sums.narrow(0, 1, 1).zero_();
  state_->add_squares(squares);
  sums.narrow(0, 2, 1).fill_(vote);
  const std::vector<double> all = state_->sums_of_all(sums);
  return {all[0] / state_->num_labels, std::sqrt(all[1]), all[2]};
}

double Engine::forward_backward(InputSource& input, std::int64_t step, double loss_scale) {
  run_step(input, step, loss_scale);
  return state_->sums_of_all(state_->executor->take_sums())[0] / state_->num_labels;
}

Scores Engine::evaluate(InputSource& input) {
  state_->executor->evaluate(input);
  const std::vector<double> sums = state_->sums_of_all(state_->executor->take_sums());
  const double labels = input.num_labels();
  return {sums[0] / labels, sums[1] / labels, labels};
}

at::Tensor Engine::logits(InputSource& input, const std::vector<Range>& wanted) {
  const LogitsExchange exchange(state_->model, state_->plan, state_->options.seq_length, wanted);
  return exchange.bring(state_->executor->logits(input), *state_->world);
}

void Engine::set_shape(std::int64_t global_batch, std::int64_t seq_length) {
  state_->plan.global_batch = global_batch;
  if (seq_length == state_->options.seq_length) return;
  state_->options.seq_length = seq_length;
  state_->executor->set_seq_length(seq_length);
}

std::int64_t Engine::seq_length() const { return state_->options.seq_length; }

std::vector<ParamUnit*> Engine::units() {
  std::vector<ParamUnit*> out;
  for (const auto& unit : state_->units) out.push_back(unit.get());
  return out;
}

std::vector<ParamHandle> Engine::parameters() { return state_->parameters; }

void Engine::publish() {
  at::NoGradGuard no_grad;
  for (const auto& unit : state_->units) unit->publish();
}

double Engine::gradient_norm() {
  const at::NoGradGuard no_grad;
  at::Tensor squares =
      at::zeros({1}, at::TensorOptions().dtype(at::kDouble).device(state_->world->device()));
  state_->add_squares(squares);
  return std::sqrt(state_->sums_of_all(squares)[0]);
}

int neighbour_rank(const plan::Plan& plan, int rank, int step) {
  const int degree = plan.pipeline.degree, per_stage = plan.ranks_per_stage();
  const int pp_rank = rank / per_stage + step;
  const bool wraps = pp_rank < 0 || pp_rank >= degree;
  if (wraps && plan.pipeline.stages_per_rank() == 1) return -1;
  return (pp_rank + degree) % degree * per_stage + rank % per_stage;
}

namespace {

void add_layer_rank_sets(const spec::ModelSpec& model, const plan::Plan& plan, int layer,
                         std::set<plan::RankSet>& sets) {
  const plan::RankLayout layout = plan.layout(layer);
  const std::vector<plan::UnitSpec> units = plan::param_units(model, plan, layer);
  const int pp_rank = plan.pipeline.pp_rank_of_stage(plan.stage_of_layer(layer));
  for (const int rank : plan.stage_ranks(pp_rank)) {
    sets.insert(layout.tp_ranks(rank));
    sets.insert(layout.ulysses_ranks(rank));
    for (const plan::UnitSpec& unit : units) {
      const plan::UnitRanks ranks = plan::unit_ranks(unit, layout, rank);
      sets.insert({ranks.replicas, ranks.shards, ranks.copies});
      if (unit.has_twins) sets.insert(plan::tie_ranks(model, plan, unit.tied_name, layer, rank));
    }
  }
}

}  // namespace

std::vector<plan::RankSet> plan_rank_sets(const spec::ModelSpec& model, const plan::Plan& plan) {
  std::set<plan::RankSet> sets;
  for (int rank = 0; rank < plan.world_size; ++rank) {
    sets.insert(plan.stage_ranks(plan.pp_rank_of(rank)));
    const int next = neighbour_rank(plan, rank, 1);
    if (next >= 0) sets.insert({std::min(rank, next), std::max(rank, next)});
  }
  for (int layer = 0; layer < model.num_layers(); ++layer)
    add_layer_rank_sets(model, plan, layer, sets);
  return {sets.begin(), sets.end()};
}

}  // namespace galvatron::runtime
