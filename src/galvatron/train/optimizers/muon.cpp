// Matrices of blocks move in the direction of their momentum made orthogonal (Jordan et al. 2024),
// as torch.optim.Muon computes it with match_rms_adamw; all else is AdamW's, at the same rate. Of a
// fused matrix q, k, v, gate and up are matrices of their own.
//
// A step divides the matrices of a unit over the ranks that share it, one after the other. Each
// brings its matrices together, over the ZeRO slices and then over the parts of TP; the sum of what
// all made, zero where others work, is every rank's direction: exact, so that a plan changes
// nothing.
#include <algorithm>
#include <array>
#include <cmath>

#include "galvatron/comm/torch_headers.h"
#include "galvatron/train/optimizers/adamw.h"

namespace galvatron::train {
namespace {

constexpr std::array kOrthogonalTerms = {3.4445, -4.7750, 2.0315};
constexpr double kLeastNorm = 1e-7;
// Root of the mean square of AdamW's updates (Liu et al. 2025, arXiv:2502.16982).
constexpr double kAdamUpdate = 0.2;

// Newton and Schulz' iteration with the quintic of Jordan: singular values go to about 1.
at::Tensor orthogonal(const at::Tensor& matrix) {
  const bool tall = matrix.size(0) > matrix.size(1);
  at::Tensor x = tall ? matrix.t() : matrix;
  x = x / x.norm().clamp_min(kLeastNorm);
  const auto [a, b, c] = kOrthogonalTerms;
  for (int step = 0; step < spec::kOrthogonalSteps; ++step) {
    const at::Tensor gram = x.mm(x.t());
    const at::Tensor terms = at::addmm(gram, gram, gram, b, c);
    x = at::addmm(x, terms, x, a, 1);
  }
  return tall ? x.t() : x;
}

// In 16-bit training in bf16, as the public Muon; else as precise as the plan.
at::ScalarType working_type(const runtime::ParamUnit& unit) {
  const at::ScalarType compute = unit.compute_type();
  return compute == at::kDouble || compute == at::kFloat ? compute : at::kBFloat16;
}

// One matrix and this rank's part of it, inside the slot's local shape.
struct MatrixPart {
  std::vector<std::int64_t> shape;  // whole
  int dim = 0;                      // along which TP divides it
  Range local, global;              // of `dim`
  bool divided = false;
};

std::vector<MatrixPart> matrix_parts(const runtime::ParamSlot& slot) {
  const spec::ParamSpec& spec = *slot.spec;
  std::vector<MatrixPart> out;
  if (spec.split.dim == 1) {
    std::int64_t before = 0;
    const Range& range = slot.ranges.front();
    GALV_CHECK(slot.ranges.size() == 1, slot.full_name, " is divided in segments of columns");
    out.push_back({spec.shape, 1, {before, range.size()}, range, slot.numel < spec.numel()});
    return out;
  }
  const std::vector<Range> rows = spec::matrix_rows(spec);
  std::int64_t before = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Range& range = slot.ranges[i];
    out.push_back({{rows[i].size(), spec.shape[1]},
                   0,
                   {before, before + range.size()},
                   {range.begin - rows[i].begin, range.end - rows[i].begin},
                   slot.numel < spec.numel()});
    before += range.size();
  }
  return out;
}

at::Tensor direction_of(const runtime::ParamUnit& unit, const MatrixPart& part,
                        const at::Tensor& mine) {
  at::Tensor whole = mine;
  if (part.divided) {
    whole = at::zeros(part.shape, mine.options());
    whole.narrow(part.dim, part.global.begin, part.global.size()).copy_(mine);
    unit.parts().all_reduce(whole);
  }
  const auto longer = static_cast<double>(std::max(part.shape[0], part.shape[1]));
  const at::Tensor made = orthogonal(whole.to(working_type(unit))).to(mine.scalar_type()) *
                          (kAdamUpdate * std::sqrt(longer));
  return made.narrow(part.dim, part.global.begin, part.global.size());
}

class Muon : public AdamW {
 public:
  using AdamW::AdamW;

  void update_matrices(runtime::ParamUnit& unit, at::Tensor& momentum,
                       const std::vector<UnitSpan>& spans) override {
    const double kept = option("momentum");
    const std::int64_t size = unit.num_of_matrices();
    at::Tensor direction = unit.gradient().narrow(0, 0, size);
    at::Tensor buffer = momentum.narrow(0, 0, size);
    buffer.lerp_(direction, 1 - kept);
    direction.lerp_(buffer, kept);
    make_directions(unit);
    for (const UnitSpan& span : spans) {
      at::Tensor weights = unit.master().slice(0, span.elements.begin, span.elements.end);
      weights.mul_(1 - span.learning_rate * span.weight_decay)
          .add_(direction.slice(0, span.elements.begin, span.elements.end), -span.learning_rate);
    }
  }

 private:
  // What the gradient's matrices hold is made orthogonal in its place.
  void make_directions(runtime::ParamUnit& unit) {
    at::Tensor& gradient = unit.gradient();
    at::Tensor flat = unit.gather_owned(gradient);
    const bool is_owned = flat.is_same(gradient);
    if (is_owned) flat = gradient.narrow(0, 0, unit.num_of_matrices());
    for (std::size_t i = 0; i < unit.slots().size(); ++i) {
      const runtime::ParamSlot& slot = unit.slots()[i];
      if (!slot.is_matrix) continue;
      const at::Tensor local = unit.slot_view(flat, static_cast<int>(i));
      for (const MatrixPart& part : matrix_parts(slot)) {
        at::Tensor mine = local.narrow(part.dim, part.local.begin, part.local.size());
        if (turn_++ % unit.sharers().size() != unit.sharers().rank()) {
          mine.zero_();
        } else {
          mine.copy_(direction_of(unit, part, mine));
        }
      }
    }
    if (is_owned) {
      unit.sum_into_owned(flat, flat);
    } else {
      unit.sum_into_owned(flat, gradient);
    }
  }

  std::int64_t turn_ = 0;  // counts matrices: the same on all ranks that share a unit
};

}  // namespace

std::unique_ptr<Optimizer> make_muon(const std::vector<runtime::ParamUnit*>& units,
                                     const spec::OptimizerChoice& choice) {
  return std::make_unique<Muon>(units, choice);
}

}  // namespace galvatron::train
