// Parameters that are stored, sharded, gathered and reduced together: one flat buffer, one replica
// group, one ZeRO stage.
//
// Layout of the flat buffer: matrices of blocks first, then other parameters that decay, then the
// others, then zeros up to a multiple of 16 elements for every rank of the group. ZeRO stages 1 to
// 3 give each rank an equal slice to own: its master weights, gradients and optimizer states. Stage
// 0 makes every rank own all of it. (Rajbhandari et al. 2020.)
//
//                     compute copy    master, states     gradients
//   zero 0            whole           whole              whole, all-reduced
//   zero 1            whole           slice              whole, reduce-scattered once a step
//   zero 2            whole           slice              slice, reduce-scattered once a microbatch
//   zero 3            while in use    slice              slice, reduce-scattered once a microbatch
//
// With Communication::grad_reduce kStep gradients are those of stage 1 under 2 and 3 too.
//
// ZeRO may shard over a part of the replicas (shard_degree): slices are then gathered and reduced
// within a part, and once a step the slice's gradients are all-reduced over its copies.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "galvatron/base/partition.h"
#include "galvatron/base/units.h"
#include "galvatron/comm/group.h"
#include "galvatron/spec/communication.h"
#include "galvatron/spec/param_spec.h"

namespace galvatron::runtime {

// This rank's part of one parameter inside a unit.
struct ParamSlot {
  const spec::ParamSpec* spec = nullptr;
  std::string full_name;  // "block.3.attention.qkv.weight"
  std::vector<Range>
      ranges;  // of spec->split.dim (dimension 0 where undivided) that this rank holds
  std::vector<std::int64_t> shape;  // local
  std::int64_t offset = 0;          // in the flat buffer
  std::int64_t numel = 0;
  bool is_matrix = false;  // LayerSpec::is_block_matrix
};

struct UnitOptions {
  std::string name;
  int zero_stage = 0;
  at::ScalarType compute_type = at::kFloat;
  at::ScalarType state_type = at::kFloat;  // master weights, gradients, optimizer states
  spec::Communication communication = {};
  c10::Device device = c10::kCPU;
  comm::Group replicas;  // ranks of the stage that hold the same values
  comm::Group shards;    // of these, those that share a whole unit under ZeRO
  comm::Group copies;    // and those that own the same slice
  comm::Group parts;     // ranks that hold the other parts of what TP divides
  comm::Group tie;       // the pipeline ranks that hold a tied copy; a group of one without
};

// Copies a rank's part of a parameter into its place in the whole parameter, or out of it.
void copy_into_global(const ParamSlot& slot, const at::Tensor& local, at::Tensor& global);
at::Tensor local_from_global(const ParamSlot& slot, const at::Tensor& global);

// What a unit holds between steps.
struct UnitBytes {
  Bytes parameters, master, gradients;
};

class ParamUnit {
 public:
  ParamUnit(UnitOptions options, std::vector<ParamSlot> slots);

  const std::string& name() const { return options_.name; }
  bool is_tied() const { return options_.tie.size() > 1; }  // to copies on other pipeline ranks
  int zero_stage() const { return options_.zero_stage; }
  bool reduces_each() const { return options_.communication.reduces_each(options_.zero_stage); }
  const std::vector<ParamSlot>& slots() const { return slots_; }
  int slot_of(const std::string& full_name) const;  // -1 when absent

  // --- values ---
  // Draws every element this rank owns as a function of (seed, parameter name, global index). Not
  // collective: publish().
  void initialise(std::uint64_t seed);
  // Writes this rank's part of a parameter into the master weights, as far as this rank owns it.
  // Not collective.
  void assign(int slot, const at::Tensor& local_value) { assign(slot, local_value, master_); }
  // The same into `owned`, a tensor like master(): an optimizer's state.
  void assign(int slot, const at::Tensor& local_value, at::Tensor& owned) const;
  // Brings the compute copy up to date with the master weights; wait_gathered() may be what waits
  // for it. Collective over the shards.
  void publish();
  // The whole flat buffer of master weights (or of `owned`, a tensor like master()). Collective
  // over the shards.
  at::Tensor gather_owned(const at::Tensor& owned) const;
  // The sum of whole flat buffers over the sharers() into `owned`, a tensor like master().
  // Collective over them. REQUIRES: of stage 0 they are one tensor.
  void sum_into_owned(at::Tensor& flat, at::Tensor& owned) const;
  // The ranks that gather_owned() and sum_into_owned() are collective over, but for stage 0, where
  // the first needs no other rank.
  const comm::Group& sharers() const {
    return options_.zero_stage == 0 ? options_.replicas : options_.shards;
  }
  const comm::Group& parts() const { return options_.parts; }
  at::ScalarType compute_type() const { return options_.compute_type; }
  // The part of a flat buffer that is one parameter, in its local shape.
  at::Tensor slot_view(const at::Tensor& flat, int slot) const;

  // --- use by layers, behind wait_gathered(); under ZeRO-3 until free() ---
  void gather();         // starts it. REQUIRES: ZeRO-3, not gathered
  void wait_gathered();  // REQUIRES: gather() before, under ZeRO-3
  void free();           // REQUIRES: wait_gathered() before
  const at::Tensor& leaf(int slot) const { return leaves_[static_cast<std::size_t>(slot)]; }

  // --- gradients ---
  // Of a step to come. After the last of them the slice is reduced over its copies.
  void add_reductions(int more) { reductions_of_step_ += more; }
  void start_step();                                           // forgets the last step's gradients
  void add_gradients(const std::vector<at::Tensor>& by_slot);  // undefined counts as zero
  // Of what was added: under ZeRO-2 and 3 since the last reduction, else in the whole step.
  void start_reduction();
  void finish_reduction();  // REQUIRES: one is under way
  void finish_step();       // waits for what the last of them started
  void reduce_tie();  // sums tied copies of several pipeline ranks; after the last microbatch,
                      // collective over the tie

  // --- what the optimizer sees: this rank's part, one-dimensional ---
  at::Tensor& master() { return master_; }
  at::Tensor& gradient() { return owned_gradient_; }
  std::int64_t num_decayed() const;      // leading elements of the owned part that decay
  std::int64_t num_of_matrices() const;  // and those of matrices, in front of them
  // True on one rank for each owned element: sums over ranks of these count everything once.
  bool counts_once() const;

  // Owned part of the flat buffer.
  Range owned() const { return owned_; }
  // The part of it that this rank writes where all ranks together write every element once: those
  // that own the same divide it evenly.
  Range written() const;
  std::int64_t flat_size() const { return flat_size_; }
  // As the cost model tells them apart: master weights of the compute type are the parameters.
  UnitBytes held_bytes() const;

 private:
  void lay_out();
  void allocate();
  void make_leaves();
  void set_storage(bool present);
  const comm::Group& alike() const;  // the ranks of the stage that own the same elements
  at::Tensor& gradient_buffer();
  void start_spreading();
  void take_reduced();
  bool take_all_at_once(const std::vector<at::Tensor>& by_slot);
  void add_gradient(int slot, const at::Tensor& gradient);

  UnitOptions options_;
  std::vector<ParamSlot> slots_;
  std::int64_t num_decayed_flat_ = 0, num_matrix_flat_ = 0;
  std::int64_t flat_size_ = 0;  // padded
  Range owned_;

  at::Tensor compute_;         // [flat_size]; its storage comes and goes under ZeRO-3
  at::Tensor compute_shard_;   // ZeRO-3 with a narrower compute type
  at::Tensor master_;          // [owned]
  at::Tensor owned_gradient_;  // [owned]
  at::Tensor gradient_;        // [flat_size]; under ZeRO-2 and 3 only while a layer's backward runs
  std::vector<at::Tensor> leaves_;
  std::vector<bool> touched_;   // slots that have a gradient since the buffer was made
  bool owned_touched_ = false;  // the owned gradient holds this step's sum
  // Of the reduction under way, where it is no part of the buffers above: target and source.
  at::Tensor reduced_, reducing_;
  at::Tensor spread_;  // what is summed over the copies, where that is not the gradient itself
  comm::Pending reduction_, gathering_, spreading_;  // the last: over the copies
  int reductions_of_step_ = 0, reductions_done_ = 0;
  bool is_reducing_ = false, is_gathering_ = false, is_whole_ = true;  // is_whole_: or will be
};

}  // namespace galvatron::runtime
