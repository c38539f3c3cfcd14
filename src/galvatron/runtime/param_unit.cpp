#include "galvatron/runtime/param_unit.h"

#include <algorithm>

#include "galvatron/base/error.h"
#include "galvatron/comm/torch_headers.h"
#include "galvatron/nn/counter_random.h"
#include "galvatron/plan/param_units.h"

namespace galvatron::runtime {
namespace {

// Runs of consecutive global elements of a parameter, in the order in which the local part stores
// them.
struct ElementRun {
  std::int64_t local = 0;   // index into the local part
  std::int64_t global = 0;  // index into the whole parameter, row-major
  std::int64_t count = 0;
  std::size_t segment = 0;  // of the split dimension
};

std::vector<ElementRun> element_runs(const ParamSlot& slot) {
  const spec::ParamSpec& spec = *slot.spec;
  if (!spec.split.divided()) return {{0, 0, slot.numel, 0}};
  std::int64_t outer = 1, inner = 1;
  const int dim = spec.split.dim;
  for (int d = 0; d < dim; ++d) outer *= spec.shape[static_cast<std::size_t>(d)];
  for (std::size_t d = static_cast<std::size_t>(dim) + 1; d < spec.shape.size(); ++d)
    inner *= spec.shape[d];
  std::vector<ElementRun> runs;
  std::int64_t local = 0;
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::size_t s = 0; s < slot.ranges.size(); ++s) {
      const Range& range = slot.ranges[s];
      const std::int64_t count = range.size() * inner;
      runs.push_back(
          {local, (o * spec.shape[static_cast<std::size_t>(dim)] + range.begin) * inner, count, s});
      local += count;
    }
  }
  GALV_CHECK(local == slot.numel, slot.full_name, " has ", slot.numel,
             " local elements, its ranges ", local);
  return runs;
}

void fill_normal(at::Tensor& out, std::int64_t begin, std::int64_t count, std::uint64_t key,
                 std::int64_t first, double stddev) {
  if (out.scalar_type() == at::kDouble) {
    nn::fill_normal(out.data_ptr<double>() + begin, count, key, first, stddev);
  } else {
    nn::fill_normal(out.data_ptr<float>() + begin, count, key, first, stddev);
  }
}

}  // namespace

void copy_into_global(const ParamSlot& slot, const at::Tensor& local, at::Tensor& global) {
  const int dim = std::max(slot.spec->split.dim, 0);
  std::int64_t begin = 0;
  for (const Range& range : slot.ranges) {
    global.narrow(dim, range.begin, range.size()).copy_(local.narrow(dim, begin, range.size()));
    begin += range.size();
  }
}

at::Tensor local_from_global(const ParamSlot& slot, const at::Tensor& global) {
  const int dim = std::max(slot.spec->split.dim, 0);
  std::vector<at::Tensor> parts;
  for (const Range& range : slot.ranges)
    parts.push_back(global.narrow(dim, range.begin, range.size()));
  return parts.size() == 1 ? parts[0] : at::cat(parts, dim);
}

ParamUnit::ParamUnit(UnitOptions options, std::vector<ParamSlot> slots)
    : options_(std::move(options)), slots_(std::move(slots)), touched_(slots_.size(), false) {
  lay_out();
  allocate();
  make_leaves();
}

void ParamUnit::lay_out() {
  std::stable_sort(slots_.begin(), slots_.end(), [](const ParamSlot& a, const ParamSlot& b) {
    const auto place = [](const ParamSlot& slot) {
      return slot.is_matrix ? 0 : slot.spec->weight_decay ? 1 : 2;
    };
    return place(a) < place(b);
  });
  std::int64_t offset = 0;
  for (ParamSlot& slot : slots_) {
    slot.offset = offset;
    offset += slot.numel;
    if (slot.is_matrix) num_matrix_flat_ = offset;
    if (slot.spec->weight_decay) num_decayed_flat_ = offset;
  }
  const int n = options_.shards.size();
  flat_size_ = plan::padded_elements(offset, n);
  owned_ = options_.zero_stage == 0 ? Range{0, flat_size_}
                                    : chunk(flat_size_, n, options_.shards.rank());
}

void ParamUnit::allocate() {
  const auto compute = at::TensorOptions().dtype(options_.compute_type).device(options_.device);
  const auto state = at::TensorOptions().dtype(options_.state_type).device(options_.device);
  const bool same_type = options_.compute_type == options_.state_type;
  const int zero = options_.zero_stage;
  compute_ = at::zeros({flat_size_}, compute);
  master_ = same_type && zero < 3 ? compute_.narrow(0, owned_.begin, owned_.size())
                                  : at::zeros({owned_.size()}, state);
  if (zero == 3 && !same_type) compute_shard_ = at::zeros({owned_.size()}, compute);
  if (!reduces_each()) {
    gradient_ = at::zeros({flat_size_}, state);
    owned_gradient_ = gradient_.narrow(0, owned_.begin, owned_.size());
  } else {
    owned_gradient_ = at::zeros({owned_.size()}, state);
  }
}

void ParamUnit::make_leaves() {
  for (const ParamSlot& slot : slots_) {
    // variable_data: its own version counter, so that refilling the flat buffer does not upset
    // saved tensors.
    at::Tensor leaf = compute_.narrow(0, slot.offset, slot.numel).view(slot.shape).variable_data();
    leaf.requires_grad_(true);
    leaf.set_grad_dtype(std::nullopt);  // the head's come in fp32, whatever it computes in
    leaves_.push_back(leaf);
  }
  if (options_.zero_stage < 3) return;
  set_storage(false);
  is_whole_ = false;
}

// Frees or makes the bytes behind compute_ and every view of it. What was saved for backward keeps
// pointing at it.
void ParamUnit::set_storage(bool present) {
  c10::StorageImpl* storage = compute_.storage().unsafeGetStorageImpl();
  const std::size_t bytes =
      present ? static_cast<std::size_t>(flat_size_) * compute_.element_size() : 0;
  storage->set_data_ptr_noswap(c10::GetAllocator(options_.device.type())->allocate(bytes));
  storage->set_nbytes(bytes);
}

int ParamUnit::slot_of(const std::string& full_name) const {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].full_name == full_name) return static_cast<int>(i);
  }
  return -1;
}

void ParamUnit::initialise(std::uint64_t seed) {
  const bool on_cpu = options_.device.is_cpu();
  at::Tensor values =
      on_cpu ? master_ : at::zeros_like(master_, at::TensorOptions().device(at::kCPU));
  values.zero_();
  for (const ParamSlot& slot : slots_) {
    const std::uint64_t key = nn::random_key(seed, slot.full_name);
    for (const ElementRun& run : element_runs(slot)) {
      const std::int64_t begin = slot.offset + run.local;
      const Range part = intersect({begin, begin + run.count}, owned_);
      if (part.empty()) continue;
      if (slot.spec->init.kind == spec::InitKind::kOnes) {
        values.narrow(0, part.begin - owned_.begin, part.size()).fill_(1);
      } else if (slot.spec->init.kind == spec::InitKind::kNormal) {
        fill_normal(values, part.begin - owned_.begin, part.size(), key,
                    run.global + part.begin - begin, slot.spec->init.stddev_at(run.segment));
      }
    }
  }
  if (!on_cpu) master_.copy_(values);
}

void ParamUnit::assign(int slot_index, const at::Tensor& local_value, at::Tensor& owned) const {
  const ParamSlot& slot = slots_[static_cast<std::size_t>(slot_index)];
  GALV_CHECK(local_value.numel() == slot.numel, slot.full_name, " has ", slot.numel,
             " local elements, not ", local_value.numel());
  const Range part = intersect({slot.offset, slot.offset + slot.numel}, owned_);
  if (part.empty()) return;
  owned.narrow(0, part.begin - owned_.begin, part.size())
      .copy_(local_value.reshape({-1}).narrow(0, part.begin - slot.offset, part.size()));
}

void ParamUnit::publish() {
  const bool same_type = options_.compute_type == options_.state_type;
  if (options_.zero_stage == 3) {
    if (!same_type) compute_shard_.copy_(master_);
    return;
  }
  at::Tensor mine = compute_.narrow(0, owned_.begin, owned_.size());
  if (!same_type) mine.copy_(master_);
  if (options_.zero_stage == 0) return;
  if (is_gathering_) wait_gathered();
  gathering_ = options_.shards.all_gather_async(compute_, mine);
  is_gathering_ = true;
  if (options_.communication.parameter_gather == spec::ParameterGather::kWait) wait_gathered();
}

UnitBytes ParamUnit::held_bytes() const {
  const auto bytes = [](const at::Tensor& tensor) {
    return Bytes{tensor.defined() ? static_cast<std::int64_t>(tensor.storage().nbytes()) : 0};
  };
  UnitBytes out;
  out.parameters = bytes(compute_) + bytes(compute_shard_);
  if (!master_.is_alias_of(compute_)) {
    const bool same_type = options_.compute_type == options_.state_type;
    (same_type ? out.parameters : out.master) += bytes(master_);
  }
  out.gradients = bytes(owned_gradient_);
  if (gradient_.defined() && !gradient_.is_alias_of(owned_gradient_))
    out.gradients += bytes(gradient_);
  return out;
}

at::Tensor ParamUnit::gather_owned(const at::Tensor& owned) const {
  if (options_.zero_stage == 0 || options_.shards.size() == 1) return owned;
  at::Tensor flat = at::empty({flat_size_}, owned.options());
  options_.shards.all_gather(flat, owned);
  return flat;
}

void ParamUnit::sum_into_owned(at::Tensor& flat, at::Tensor& owned) const {
  if (options_.zero_stage == 0) {
    GALV_CHECK(flat.is_same(owned), options_.name, " is owned whole");
    options_.replicas.all_reduce(owned);
  } else if (options_.shards.size() > 1) {
    options_.shards.reduce_scatter(owned, flat);
  }
}

at::Tensor ParamUnit::slot_view(const at::Tensor& flat, int slot_index) const {
  const ParamSlot& slot = slots_[static_cast<std::size_t>(slot_index)];
  return flat.narrow(0, slot.offset, slot.numel).view(slot.shape);
}

void ParamUnit::gather() {
  GALV_CHECK(!is_whole_, options_.name, " is gathered already");
  set_storage(true);
  is_whole_ = true;
  gathering_ = options_.shards.all_gather_async(
      compute_, compute_shard_.defined() ? compute_shard_ : master_);
  is_gathering_ = true;
}

void ParamUnit::wait_gathered() {
  GALV_CHECK(is_whole_, options_.name, " is used, but not gathered");
  if (!is_gathering_) return;
  gathering_.wait();
  is_gathering_ = false;
}

void ParamUnit::free() {
  GALV_CHECK(is_whole_ && !is_gathering_ && options_.zero_stage == 3, options_.name,
             " has nothing to free");
  set_storage(false);
  is_whole_ = false;
}

void ParamUnit::start_step() {
  std::fill(touched_.begin(), touched_.end(), false);
  owned_touched_ = false;
  reductions_done_ = 0;
}

at::Tensor& ParamUnit::gradient_buffer() {
  if (!gradient_.defined()) gradient_ = at::empty({flat_size_}, master_.options());
  return gradient_;
}

// The first gradients of all slots in one copy. False where that is not possible, with nothing
// done.
bool ParamUnit::take_all_at_once(const std::vector<at::Tensor>& by_slot) {
  if (std::find(touched_.begin(), touched_.end(), true) != touched_.end()) return false;
  std::vector<at::Tensor> flat;
  for (const at::Tensor& gradient : by_slot) {
    if (!gradient.defined() || !gradient.is_contiguous() ||
        gradient.scalar_type() != options_.state_type)
      return false;
    flat.push_back(gradient.view({-1}));
  }
  const std::int64_t used = slots_.back().offset + slots_.back().numel;
  at::Tensor target = gradient_buffer().narrow(0, 0, used);
  at::cat_out(target, flat);
  touched_.assign(touched_.size(), true);
  return true;
}

void ParamUnit::add_gradients(const std::vector<at::Tensor>& by_slot) {
  const at::AutoDispatchBelowADInplaceOrView
      plain_arithmetic;  // a third of the cost of a small call
  if (slots_.size() > 1 && take_all_at_once(by_slot)) return;
  for (std::size_t i = 0; i < by_slot.size(); ++i) add_gradient(static_cast<int>(i), by_slot[i]);
}

void ParamUnit::add_gradient(int slot_index, const at::Tensor& gradient) {
  if (!gradient.defined()) return;
  const auto slot = static_cast<std::size_t>(slot_index);
  at::Tensor target = slot_view(gradient_buffer(), slot_index);
  if (touched_[slot]) {
    target.add_(gradient);
  } else {
    target.copy_(gradient);
    touched_[slot] = true;
  }
}

void ParamUnit::start_reduction() {
  GALV_CHECK(!is_reducing_, options_.name, " is being reduced");
  at::Tensor& full = gradient_buffer();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (!touched_[i]) slot_view(full, static_cast<int>(i)).zero_();
  }
  const std::int64_t used = slots_.empty() ? 0 : slots_.back().offset + slots_.back().numel;
  full.narrow(0, used, flat_size_ - used).zero_();
  const comm::Group& group = sharers();
  const bool narrows = options_.communication.reduces_in_bf16() && group.size() > 1;
  reducing_ = narrows ? full.to(at::kBFloat16) : full;
  if (reduces_each()) {
    gradient_ = at::Tensor();
    std::fill(touched_.begin(), touched_.end(), false);
  }
  if (options_.zero_stage == 0) {
    reduced_ = reducing_;
    reduction_ = group.all_reduce_async(reduced_);
  } else {
    reduced_ = narrows || owned_touched_ ? at::empty({owned_.size()}, reducing_.options())
                                         : owned_gradient_;
    reduction_ = group.reduce_scatter_async(reduced_, reducing_);
  }
  is_reducing_ = true;
}

// The sum to the step's.
void ParamUnit::take_reduced() {
  if (reduces_each() && owned_touched_) {
    owned_gradient_.add_(reduced_);
  } else if (reduced_.data_ptr() != owned_gradient_.data_ptr()) {
    owned_gradient_.copy_(reduced_);
  }
  owned_touched_ = reduces_each();
  reduced_ = at::Tensor();
  reducing_ = at::Tensor();
}

void ParamUnit::finish_reduction() {
  GALV_CHECK(is_reducing_, options_.name, " has no reduction to wait for");
  reduction_.wait();
  is_reducing_ = false;
  take_reduced();
  if (++reductions_done_ == reductions_of_step_) start_spreading();
}

void ParamUnit::start_spreading() {
  if (options_.zero_stage == 0 || options_.copies.size() == 1) return;
  spread_ = options_.communication.reduces_in_bf16() ? owned_gradient_.to(at::kBFloat16)
                                                     : owned_gradient_;
  spreading_ = options_.copies.all_reduce_async(spread_);
}

void ParamUnit::finish_step() {
  spreading_.wait();
  if (spread_.defined() && !spread_.is_same(owned_gradient_)) owned_gradient_.copy_(spread_);
  spread_ = at::Tensor();
}

void ParamUnit::reduce_tie() {
  finish_step();
  if (options_.tie.size() > 1) options_.tie.all_reduce(owned_gradient_);
}

std::int64_t ParamUnit::num_decayed() const {
  return intersect({0, num_decayed_flat_}, owned_).size();
}

std::int64_t ParamUnit::num_of_matrices() const {
  return intersect({0, num_matrix_flat_}, owned_).size();
}

const comm::Group& ParamUnit::alike() const {
  return options_.zero_stage > 0 ? options_.copies : options_.replicas;
}

bool ParamUnit::counts_once() const { return alike().rank() == 0 && options_.tie.rank() == 0; }

Range ParamUnit::written() const {
  if (options_.tie.rank() != 0) return {owned_.begin, owned_.begin};
  const Range part = chunk(owned_.size(), alike().size(), alike().rank());
  return {owned_.begin + part.begin, owned_.begin + part.end};
}

}  // namespace galvatron::runtime
