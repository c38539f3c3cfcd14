// A second moment of which only the means of rows and columns are kept (Shazeer and Stern 2018), as
// torch.optim.Adafactor computes it. Of a fused matrix q, k, v, gate and up are parameters of their
// own.
//
// Sums over a whole parameter come from the elements that each rank owns: one all-reduce for the
// squares of rows, columns and weights, one for those of the updates.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/runtime/slot_box.h"
#include "galvatron/train/optimizers/elementwise.h"
#include "galvatron/train/optimizers/optimizer.h"

namespace galvatron::train {
namespace {

at::Tensor part_of(at::Tensor tensor, const std::vector<Range>& ranges) {
  for (std::size_t d = 0; d < ranges.size(); ++d)
    tensor = tensor.narrow(static_cast<int>(d), ranges[d].begin, ranges[d].size());
  return tensor;
}

std::vector<Range> without(std::vector<Range> ranges, std::size_t from_back) {
  ranges.erase(ranges.end() - static_cast<std::ptrdiff_t>(from_back));
  return ranges;
}

// One whole parameter and the place of its sums in those of its unit.
struct WholeParam {
  int slot = 0;
  std::vector<std::int64_t> shape;
  std::int64_t first_row = 0;        // of the fused parameter that it is a part of
  at::Tensor rows, columns;          // states; undefined of a vector
  at::Tensor row_sums, column_sums;  // of squares
  std::int64_t index = 0;            // among the unit's

  bool is_vector() const { return !rows.defined(); }
  double numel() const {
    double out = 1;
    for (const std::int64_t size : shape) out *= static_cast<double>(size);
    return out;
  }
};

// Elements of one parameter that this rank owns.
struct OwnedBox {
  const WholeParam* param = nullptr;
  std::vector<Range> place;  // in the parameter
  at::Tensor weights, gradient, variance;
  std::int64_t first = 0;  // of the rank's owned elements
};

class Adafactor : public Optimizer {
 public:
  Adafactor(const std::vector<runtime::ParamUnit*>& units, const spec::OptimizerChoice& choice)
      : Optimizer(units, choice) {
    for (runtime::ParamUnit* unit : units) {
      for (std::size_t i = 0; i < unit->slots().size(); ++i) {
        const runtime::ParamSlot& slot = unit->slots()[i];
        for (const std::string& name : {spec().states[0], spec().states[1]}) {
          const auto shape = spec().state_shape(name, *slot.spec, slot.is_matrix);
          if (!shape.empty())
            whole_[{unit, static_cast<int>(i), name}] = at::zeros(shape, unit->master().options());
        }
      }
    }
  }

  at::Tensor whole_state(const runtime::ParamUnit& unit, int slot,
                         const std::string& name) const override {
    const auto found = whole_.find({&unit, slot, name});
    return found == whole_.end() ? at::Tensor() : found->second;
  }

  // Of vectors alone; for the profiler, which has no units.
  void update(UpdateGroup& group, double learning_rate) override {
    for (std::size_t i = 0; i < group.weights.size(); ++i) {
      at::Tensor& variance = group.states[2][i];
      at::Tensor& gradient = group.gradients[i];
      variance.lerp_(gradient.square(), 0.5);
      gradient.mul_(variance.rsqrt());
      group.weights[i].add_(gradient, -learning_rate);
    }
  }

  void update_unit(runtime::ParamUnit& unit, at::Tensor& vector_state,
                   const std::vector<UnitSpan>& spans) override {
    at::Tensor sums, update_sums;
    const std::vector<WholeParam> params = params_of(unit, sums);
    const std::vector<OwnedBox> boxes = boxes_of_unit(unit, vector_state, params);
    const std::int64_t count = static_cast<std::int64_t>(params.size());
    at::Tensor weight_sums = sums.narrow(0, 0, count);
    for (const OwnedBox& box : boxes) add_squares(box, weight_sums);
    sum_over_ranks(unit, sums);
    for (const WholeParam& param : params) update_factors(param);
    update_sums = at::zeros({count}, sums.options());
    for (const OwnedBox& box : boxes) make_update(box, update_sums);
    sum_over_ranks(unit, update_sums);
    const at::Tensor scales = weight_sums.cpu(), norms = update_sums.cpu();
    for (const OwnedBox& box : boxes) {
      const std::int64_t i = box.param->index;
      apply(box, scales[i].item<double>(), norms[i].item<double>(), spans);
    }
  }

 private:
  double new_share() const {
    return std::pow(static_cast<double>(num_steps()), option("beta2_decay"));
  }
  static double least(const at::Tensor& of) {
    return of.scalar_type() == at::kDouble ? std::numeric_limits<double>::epsilon()
                                           : std::numeric_limits<float>::epsilon();
  }

  // `sums`: of the weights' squares by parameter, then of rows and columns; zeros.
  std::vector<WholeParam> params_of(runtime::ParamUnit& unit, at::Tensor& sums) const {
    std::vector<WholeParam> out;
    std::int64_t size = 0;
    for (std::size_t i = 0; i < unit.slots().size(); ++i) {
      const runtime::ParamSlot& slot = unit.slots()[i];
      const int index = static_cast<int>(i);
      const at::Tensor rows = whole_state(unit, index, spec().states[0]),
                       columns = whole_state(unit, index, spec().states[1]);
      const std::vector<Range> parts = spec::matrix_rows(*slot.spec);
      for (std::size_t p = 0; p < parts.size(); ++p) {
        WholeParam param{index, slot.spec->shape, parts[p].begin, {}, {}, {}, {}, 0};
        param.shape[0] = parts[p].size();
        param.index = static_cast<std::int64_t>(out.size());
        if (rows.defined()) {
          param.rows = rows.narrow(0, parts[p].begin, parts[p].size());
          param.columns = parts.size() > 1 ? columns[static_cast<std::int64_t>(p)] : columns;
          size += param.rows.numel() + param.columns.numel();
        }
        out.push_back(std::move(param));
      }
    }
    std::int64_t begin = static_cast<std::int64_t>(out.size());
    sums = at::zeros({begin + size}, unit.master().options().dtype(at::kDouble));
    const auto take = [&](const at::Tensor& like) {
      const at::Tensor taken = sums.narrow(0, begin, like.numel()).view(like.sizes());
      begin += like.numel();
      return taken;
    };
    for (WholeParam& param : out) {
      if (param.is_vector()) continue;
      param.row_sums = take(param.rows);
      param.column_sums = take(param.columns);
    }
    return out;
  }

  std::vector<OwnedBox> boxes_of_unit(runtime::ParamUnit& unit, const at::Tensor& vector_state,
                                      const std::vector<WholeParam>& params) const {
    std::vector<OwnedBox> out;
    const Range owned = unit.owned(), vectors = held_of(unit, spec().states[2]);
    for (const WholeParam& param : params) {
      const runtime::ParamSlot& slot = unit.slots()[static_cast<std::size_t>(param.slot)];
      const Range held = intersect({slot.offset, slot.offset + slot.numel}, owned);
      for (const runtime::SlotBox& box :
           boxes_of(slot, {held.begin - slot.offset, held.end - slot.offset})) {
        const Range rows = box.global.ranges[0];
        if (rows.begin < param.first_row || rows.begin >= param.first_row + param.shape[0])
          continue;
        const std::int64_t count =
            std::max<std::int64_t>(1, kElementsAtOnce * rows.size() / box.global.numel());
        for (std::int64_t begin = 0; begin < rows.size(); begin += count) {
          const Range some{begin, std::min(begin + count, rows.size())};
          runtime::Box local = box.local;
          OwnedBox made{&param, box.global.ranges, {}, {}, {}, 0};
          made.place[0] = {rows.begin + some.begin - param.first_row,
                           rows.begin + some.end - param.first_row};
          local.ranges[0] = {box.local.ranges[0].begin + some.begin,
                             box.local.ranges[0].begin + some.end};
          made.weights = box_view(slot, local, unit.master(), owned.begin);
          made.gradient = box_view(slot, local, unit.gradient(), owned.begin);
          made.first = made.weights.storage_offset() - unit.master().storage_offset();
          if (param.is_vector()) made.variance = box_view(slot, local, vector_state, vectors.begin);
          out.push_back(std::move(made));
        }
      }
    }
    return out;
  }

  void add_squares(const OwnedBox& box, at::Tensor& weight_sums) const {
    at::Tensor gradient = box.gradient;
    drop_cancelled(gradient);
    weight_sums[box.param->index].add_(box.weights.to(at::kDouble).square().sum());
    const at::Tensor squares = gradient.to(at::kDouble).square();
    if (box.param->is_vector()) {
      at::Tensor variance = box.variance;
      variance.lerp_(squares.to(variance.scalar_type()), new_share());
      return;
    }
    part_of(box.param->row_sums, without(box.place, 1)).add_(squares.sum(-1));
    part_of(box.param->column_sums, without(box.place, 2)).add_(squares.sum(-2));
  }

  void update_factors(const WholeParam& param) const {
    if (param.is_vector()) return;
    const auto mean_into = [&](at::Tensor state, const at::Tensor& squares, std::size_t dim) {
      const auto length = static_cast<double>(param.shape[param.shape.size() - dim]);
      state.lerp_((squares / length).to(state.scalar_type()), new_share());
    };
    mean_into(param.rows, param.row_sums, 1);
    mean_into(param.columns, param.column_sums, 2);
  }

  // In the gradient's place.
  void make_update(const OwnedBox& box, at::Tensor& update_sums) const {
    at::Tensor gradient = box.gradient;
    const double eps = least(gradient);
    at::Tensor moment;
    if (box.param->is_vector()) {
      moment = box.variance.clone();
    } else {
      const at::Tensor means = box.param->rows.mean(-1, /*keepdim=*/true).clamp_min(eps);
      const at::Tensor rows = part_of(box.param->rows, without(box.place, 1)),
                       columns = part_of(box.param->columns, without(box.place, 2));
      std::vector<Range> outer(box.place.begin(), box.place.end() - 2);
      const at::Tensor scale = part_of(means, outer);
      moment = rows.unsqueeze(-1) * columns.unsqueeze(-2);
      moment.div_(scale.unsqueeze(-1));
    }
    gradient.mul_(moment.clamp_min_(eps * eps).rsqrt_());
    update_sums[box.param->index].add_(gradient.to(at::kDouble).square().sum());
  }

  void apply(const OwnedBox& box, double weight_sum, double update_sum,
             const std::vector<UnitSpan>& spans) const {
    const auto span = std::find_if(spans.begin(), spans.end(), [&](const UnitSpan& one) {
      return one.elements.begin <= box.first && box.first < one.elements.end;
    });
    if (span == spans.end()) return;  // frozen
    const double rate =
        std::min(span->learning_rate, 1 / std::sqrt(static_cast<double>(num_steps())));
    const double numel = box.param->numel();
    const double scale = std::max(option("scale_eps"), std::sqrt(weight_sum / numel));
    const double excess = std::max(1.0, std::sqrt(update_sum / numel) / option("clip_threshold"));
    at::Tensor weights = box.weights;
    weights.mul_(1 - span->learning_rate * span->weight_decay);
    weights.add_(box.gradient, -scale * rate / excess);
  }

  // Over slices and parts.
  static void sum_over_ranks(const runtime::ParamUnit& unit, at::Tensor& sums) {
    if (unit.zero_stage() > 0) unit.sharers().all_reduce(sums);
    unit.parts().all_reduce(sums);
  }

  using StatePlace = std::tuple<const runtime::ParamUnit*, int, std::string>;
  std::map<StatePlace, at::Tensor> whole_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adafactor(const std::vector<runtime::ParamUnit*>& units,
                                          const spec::OptimizerChoice& choice) {
  return std::make_unique<Adafactor>(units, choice);
}

}  // namespace galvatron::train
