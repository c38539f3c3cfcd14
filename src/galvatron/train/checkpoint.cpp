#include "galvatron/train/checkpoint.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <set>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"
#include "galvatron/base/progress.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/runtime/slot_box.h"
#include "galvatron/runtime/unit_builder.h"
#include "galvatron/train/checkpoint_files.h"
#include "galvatron/train/gather.h"
#include "galvatron/train/weights.h"

namespace galvatron::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWeights = "weights";

// How long ranks go without a word to each other while one of them still writes.
constexpr std::chrono::milliseconds kFirstWait{5}, kLongestWait{1000};

// What every parameter has in a checkpoint of a version: its weights, and each state of the
// optimizer. Version 1 knew AdamW alone, and gave its states names of their own.
std::vector<std::string> part_names(const spec::OptimizerSpec& optimizer, int version) {
  if (version == 1) return {kWeights, "first", "second"};
  std::vector<std::string> out = optimizer.states;
  out.insert(out.begin(), kWeights);
  return out;
}

// Elements of a unit's flat buffer that this rank holds.
struct HeldTensor {
  at::Tensor values;
  Range elements;
};
using HeldPart = std::function<HeldTensor(runtime::ParamUnit&)>;

// The tensors of these, in the same order; the weights alone without an optimizer.
std::vector<HeldPart> parts(Optimizer* optimizer) {
  std::vector<HeldPart> out{
      [](runtime::ParamUnit& unit) { return HeldTensor{unit.master(), unit.owned()}; }};
  if (!optimizer) return out;
  for (const std::string& name : optimizer->spec().states) {
    out.push_back([optimizer, name](runtime::ParamUnit& unit) {
      return HeldTensor{optimizer->state(unit, name), optimizer->held_of(unit, name)};
    });
  }
  return out;
}

std::string entry_name(const std::string& part, const std::string& parameter) {
  return part + "/" + parameter;
}

// The elements of a slot that lie in `range` of its unit, as elements of the slot.
Range within(const runtime::ParamSlot& slot, Range range) {
  const Range held = intersect({slot.offset, slot.offset + slot.numel}, range);
  return {held.begin - slot.offset, held.end - slot.offset};
}

runtime::Box box_of_all(const at::Tensor& tensor) {
  runtime::Box out;
  for (const std::int64_t size : tensor.sizes()) out.ranges.push_back({0, size});
  return out;
}

// Of a slot's states that every rank has whole, where this rank writes its first element.
void add_whole_states(const Optimizer& optimizer, const runtime::ParamUnit& unit, int slot_index,
                      std::vector<StatePiece>& out) {
  const runtime::ParamSlot& slot = unit.slots()[static_cast<std::size_t>(slot_index)];
  const Range first{slot.offset, slot.offset + 1};
  if (slot.ranges.front().begin > 0 || intersect(first, unit.written()).empty()) return;
  for (const std::string& name : optimizer.spec().states) {
    const at::Tensor whole = optimizer.whole_state(unit, slot_index, name);
    if (whole.defined())
      out.push_back({entry_name(name, slot.full_name), box_of_all(whole), whole});
  }
}

void read_whole_states(const Optimizer& optimizer, const runtime::ParamUnit& unit,
                       StateFiles& files) {
  for (std::size_t i = 0; i < unit.slots().size(); ++i) {
    for (const std::string& name : optimizer.spec().states) {
      const at::Tensor whole = optimizer.whole_state(unit, static_cast<int>(i), name);
      if (whole.defined())
        files.read(entry_name(name, unit.slots()[i].full_name), box_of_all(whole), whole);
    }
  }
}

// What this rank writes: views of its tensors.
std::vector<StatePiece> pieces_of(runtime::Engine& engine, Optimizer& optimizer) {
  const std::vector<std::string> names = part_names(optimizer.spec(), kCheckpointVersion);
  const std::vector<HeldPart> tensors = parts(&optimizer);
  std::vector<StatePiece> out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (runtime::ParamUnit* unit : engine.units()) {
      const auto [values, held] = tensors[i](*unit);
      for (const runtime::ParamSlot& slot : unit->slots()) {
        for (const runtime::SlotBox& box :
             boxes_of(slot, within(slot, intersect(unit->written(), held)))) {
          out.push_back({entry_name(names[i], slot.full_name), box.global,
                         box_view(slot, box.local, values, held.begin)});
        }
      }
    }
  }
  for (const runtime::ParamUnit* unit : engine.units()) {
    for (std::size_t i = 0; i < unit->slots().size(); ++i)
      add_whole_states(optimizer, *unit, static_cast<int>(i), out);
  }
  return out;
}

CheckpointIndex index_of(runtime::Engine& engine, TrainState& state, const CheckpointFacts& facts) {
  CheckpointIndex out;
  out.model = engine.model().name;
  out.optimizer = state.optimizer().spec().name;
  out.seq_length = facts.seq_length;
  out.steps_done = state.steps_done();
  out.samples_consumed = state.samples_consumed();
  out.optimizer_steps = state.optimizer().num_steps();
  out.scaler = state.loss_scaler().state();
  out.run = facts.run;
  out.precision = engine.plan().precision;
  out.global_batch = engine.plan().global_batch;
  out.model_config = engine.model().config;
  out.options = facts.options;
  out.data = facts.data;
  if (facts.samples_state && engine.world().rank() == 0)
    out.samples_state = facts.samples_state(out.samples_consumed);
  out.plan = plan::plan_to_json(engine.plan());
  return out;
}

OrderedJson record_json(const FileRecord& file) {
  return {{"name", file.name}, {"bytes", file.bytes}, {"blocks", file.blocks}};
}

FileRecord parse_record(const std::string& text) {
  const Json json = Json::parse(text);
  return {json.at("name"), json.at("bytes"), json.at("blocks")};
}

// True on every rank when `work` is done on every rank. Collective.
template <typename Result>
bool all_done(comm::World& world, const std::future<Result>& work,
              std::chrono::milliseconds patience) {
  const bool mine = work.wait_for(patience) == std::future_status::ready;
  const auto options = at::TensorOptions().dtype(at::kFloat).device(world.device());
  at::Tensor missing = at::full({1}, mine ? 0.0 : 1.0, options);
  world.all().all_reduce(missing);
  return missing.item<float>() == 0;
}

// A slow disk of one rank is no reason for the others to give up: they ask again and again.
template <typename Result>
void wait_for_all(comm::World& world, const std::future<Result>& work) {
  for (std::chrono::milliseconds patience = kFirstWait; !all_done(world, work, patience);)
    patience = std::min(2 * patience, kLongestWait);
}

// Room in the host's memory, that of the last time where there is some: pages that are touched for
// the first time cost more than filling them.
void make_room(const std::vector<StatePiece>& pieces, std::vector<StatePiece>& copies) {
  if (copies.size() == pieces.size()) return;
  copies = pieces;
  for (StatePiece& copy : copies) {
    const auto options = at::TensorOptions().dtype(copy.value.scalar_type());
    copy.value = at::empty(copy.value.sizes(), options.pinned_memory(copy.value.is_cuda()));
  }
}

void copy_pieces(const std::vector<StatePiece>& pieces, std::vector<StatePiece>& copies) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < pieces.size(); ++i) copies[i].value.copy_(pieces[i].value);
}

// Training waits as long as this lives.
class StallClock {
 public:
  explicit StallClock(SaveFigures& figures) : figures_(figures) {}
  ~StallClock() { figures_.stall_seconds += now_seconds() - started_; }
  StallClock(const StallClock&) = delete;
  StallClock& operator=(const StallClock&) = delete;

 private:
  SaveFigures& figures_;
  double started_ = now_seconds();
};

// The files of all ranks must be where rank 0 writes the index.
void require_one_folder(const fs::path& partial, const std::vector<FileRecord>& files) {
  for (const FileRecord& file : files) {
    std::error_code error;
    if (fs::file_size(partial / file.name, error) == static_cast<std::uintmax_t>(file.bytes))
      continue;
    throw RuntimeFailure("another rank wrote ", file.name, ", but it is not in ", partial.string(),
                         ": checkpoints must go to a folder that all hosts share");
  }
}

// Names that a version of the format has for a parameter, each once.
template <typename Visit>
void for_each_entry(const spec::ModelSpec& model, const spec::OptimizerSpec& optimizer,
                    const std::vector<std::string>& names, const Visit& visit) {
  std::set<std::string> done;
  for (const spec::LayerSpec& layer : model.layers) {
    for (const spec::ParamSpec& param : layer.params) {
      const std::string name = layer.full_name(param);
      if (!done.insert(name).second) continue;
      const bool is_matrix = layer.is_block_matrix(param);
      for (const std::string& part : names) {
        const std::vector<std::int64_t> shape =
            part == kWeights ? param.shape : optimizer.state_shape(part, param, is_matrix);
        if (!shape.empty()) visit(entry_name(part, name), shape);
      }
    }
  }
}

void refuse_other_job(const CheckpointIndex& index, const std::string& name,
                      const spec::JobSpec& job, std::int64_t num_steps) {
  if (index.seq_length != job.seq_length) {
    throw ConfigError("[checkpoint] ", name, " was trained with sequences of ", index.seq_length,
                      " tokens, not ", job.seq_length);
  }
  if (index.optimizer != job.optimizer->name) {
    throw ConfigError("[checkpoint] ", name, " was trained with optimizer ", index.optimizer,
                      ", whose states ", job.optimizer->name, " cannot go on from; resume with ",
                      index.optimizer,
                      ", or start anew from its weights: --export and --init-from");
  }
  if (index.steps_done >= num_steps) {
    throw ConfigError("[checkpoint] ", name, " has done ", index.steps_done, " steps; --steps ",
                      num_steps, " leaves none to do");
  }
}

// A loss scale belongs to its precision. Old versions do not tell theirs; without fp16 it was 1.
bool fits_scale(const CheckpointIndex& index, spec::Precision precision) {
  if (precision != spec::Precision::kFp16) return false;
  return index.precision ? *index.precision == precision : index.scaler.scale != 1;
}

// Of a slot, the elements that this rank holds.
void read_held(StateFiles& files, const std::string& part, const runtime::ParamSlot& slot,
               const HeldTensor& held) {
  for (const runtime::SlotBox& box : boxes_of(slot, within(slot, held.elements))) {
    files.read(entry_name(part, slot.full_name), box.global,
               box_view(slot, box.local, held.values, held.elements.begin));
  }
}

// Into weights and, where there is an optimizer, its states; published. DamagedCheckpoint on every
// rank.
CheckpointIndex read_parts(const fs::path& checkpoint, runtime::Engine& engine,
                           Optimizer* optimizer) {
  const at::NoGradGuard no_grad;
  CheckpointIndex index;
  const std::optional<Problem> problem = problem_of_any_rank(engine.world(), [&] {
    index = read_index(checkpoint);
    StateFiles files(checkpoint, index);
    const std::vector<HeldPart> tensors = parts(optimizer);
    std::vector<std::string> names{kWeights};
    if (optimizer) {
      names = part_names(optimizer->spec(), index.version);
      for (const runtime::ParamUnit* unit : engine.units())
        read_whole_states(*optimizer, *unit, files);
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
      for (runtime::ParamUnit* unit : engine.units()) {
        for (const runtime::ParamSlot& slot : unit->slots())
          read_held(files, names[i], slot, tensors[i](*unit));
      }
    }
  });
  if (problem) throw DamagedCheckpoint(*problem);
  engine.publish();
  return index;
}

}  // namespace

struct CheckpointWriter::Work {
  std::int64_t step = 0;
  fs::path partial;
  CheckpointIndex index;
  std::vector<StatePiece> pieces;   // what is written; before the futures, which wait for their end
  std::shared_future<void> copied;  // weights and states may change
  std::future<FileRecord> file;     // of this rank
  std::future<void> published;      // from the moment when the index names all files
  double started = now_seconds();
};

CheckpointWriter::CheckpointWriter(fs::path folder, runtime::Engine& engine, TrainState& state,
                                   CheckpointFacts facts, bool in_background)
    : folder_(std::move(folder)),
      engine_(engine),
      state_(state),
      facts_(std::move(facts)),
      in_background_(in_background) {
  state_.set_before_update([this] { wait_for_copy(); });
}

CheckpointWriter::~CheckpointWriter() { state_.set_before_update({}); }

void CheckpointWriter::together(const std::function<void()>& body) {
  const std::optional<Problem> problem = problem_of_any_rank(engine_.world(), body);
  if (!problem) return;
  const std::int64_t step = work_->step;
  std::error_code ignored;
  if (is_first()) fs::remove_all(work_->partial, ignored);
  work_.reset();
  throw CheckpointNotWritten(step, problem->text);
}

void CheckpointWriter::save() {
  const StallClock clock(figures_);
  end();
  start();
  if (!in_background_) end();
}

void CheckpointWriter::start() {
  const at::NoGradGuard no_grad;
  work_ = std::make_unique<Work>();
  work_->step = state_.steps_done();
  work_->partial = partial_checkpoint(folder_, work_->step);
  together([&] {
    if (is_first()) make_partial_checkpoint(folder_, work_->step);
  });
  work_->index = index_of(engine_, state_, facts_);
  const comm::World& world = engine_.world();
  const fs::path path =
      work_->partial / fmt::format("state-{:05}-of-{:05}.safetensors", world.rank(), world.size());
  take_pieces();
  work_->file = std::async(std::launch::async, [path, work = work_.get()] {
    work->copied.get();
    return write_state_file(path, work->pieces);
  });
}

void CheckpointWriter::take_pieces() {
  std::vector<StatePiece> pieces = pieces_of(engine_, state_.optimizer());
  if (in_background_) make_room(pieces, copies_);
  work_->pieces = in_background_ ? copies_ : pieces;
  // On a device copies follow the step in its stream, and the next step follows them.
  const bool at_once = !in_background_ || !engine_.world().device().is_cpu();
  const auto copy = [pieces = std::move(pieces), this, work = work_.get()] {
    if (in_background_) copy_pieces(pieces, work->pieces);
  };
  work_->copied = std::async(at_once ? std::launch::deferred : std::launch::async, copy).share();
  if (at_once) work_->copied.wait();
}

void CheckpointWriter::wait_for_copy() {
  if (!work_) return;
  const StallClock clock(figures_);
  work_->copied.wait();
}

void CheckpointWriter::look_after() {
  if (!work_) return;
  const StallClock clock(figures_);
  if (!work_->published.valid()) {
    if (all_done(engine_.world(), work_->file, {})) collect_files();
  } else if (all_done(engine_.world(), work_->published, {})) {
    end();
  }
}

void CheckpointWriter::finish() { end(); }

// All ranks have written theirs: the index, and the checkpoint's name.
void CheckpointWriter::collect_files() {
  FileRecord mine;
  together([&] { mine = work_->file.get(); });
  for (const std::string& text : gather_texts(engine_.world(), record_json(mine).dump()))
    work_->index.files.push_back(parse_record(text));
  // Each of several syncs may take as long as a step.
  work_->published = std::async(std::launch::async, [this, work = work_.get()] {
    if (!is_first()) return;
    require_one_folder(work->partial, work->index.files);
    write_durably(work->partial / kIndexFile, index_text(work->index));
    publish_checkpoint(folder_, work->step);
    prune_checkpoints(folder_, work->step, facts_.keep);
  });
}

void CheckpointWriter::end() {
  if (!work_) return;
  if (!work_->published.valid()) {
    wait_for_all(engine_.world(), work_->file);
    collect_files();
  }
  wait_for_all(engine_.world(), work_->published);
  together([&] { work_->published.get(); });
  ++figures_.count;
  for (const FileRecord& file : work_->index.files)
    figures_.bytes = figures_.bytes + Bytes{file.bytes};
  figures_.write_seconds += now_seconds() - work_->started;
  newest_ = folder_ / step_folder(work_->step);
  work_.reset();
}

void save_checkpoint(const fs::path& folder, runtime::Engine& engine, TrainState& state,
                     const CheckpointFacts& facts) {
  CheckpointWriter(folder, engine, state, facts).save();
}

void check_checkpoint(const fs::path& checkpoint, const spec::ModelSpec& model,
                      const spec::JobSpec& job, std::int64_t num_steps, bool weights_only) {
  const CheckpointIndex index = read_index(checkpoint);
  if (!weights_only) refuse_other_job(index, checkpoint.string(), job, num_steps);
  const StateFiles files(checkpoint, index);
  const std::vector<std::string> names =
      weights_only ? std::vector<std::string>{kWeights} : part_names(*job.optimizer, index.version);
  for_each_entry(model, *job.optimizer, names, [&](const std::string& entry, const auto& shape) {
    const std::string problem =
        files.problem_with(entry, runtime::state_scalar_type(job.precision), shape);
    if (problem.empty()) return;
    throw ConfigError("[checkpoint] ", checkpoint.string(), " does not fit model '", model.name,
                      "': ", problem);
  });
}

void load_checkpoint(const fs::path& checkpoint, runtime::Engine& engine, TrainState& state,
                     bool weights_only) {
  if (weights_only) return load_checkpoint_weights(checkpoint, engine);
  const CheckpointIndex index = read_parts(checkpoint, engine, &state.optimizer());
  state.optimizer().set_num_steps(index.optimizer_steps);
  if (fits_scale(index, engine.plan().precision)) state.loss_scaler().set_state(index.scaler);
  state.set_progress(index.steps_done, index.samples_consumed);
}

void load_checkpoint_weights(const fs::path& checkpoint, runtime::Engine& engine) {
  read_parts(checkpoint, engine, nullptr);
}

}  // namespace galvatron::train
