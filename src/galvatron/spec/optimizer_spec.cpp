#include "galvatron/spec/optimizer_spec.h"

#include <algorithm>

#include <fmt/format.h>

#include "galvatron/base/error.h"

namespace galvatron::spec {
namespace {

constexpr double kMaxRate = 1e3;

// Kingma and Ba 2015, with the decoupled weight decay of Loshchilov and Hutter 2019.
OptimizerSpec adamw() {
  return {"adamw",
          {"exp_avg", "exp_avg_sq"},
          {{"weight_decay", 0.1, 0, kMaxRate,
            "Decoupled; not of biases, norms and other one-dimensional parameters"},
           {"beta1", 0.9, 0, 1, "Decay of the first moment", true},
           {"beta2", 0.95, 0, 1, "Decay of the second moment", true},
           {"adam_eps", 1e-8, 0, 1, "Added to the root of the second moment"}}};
}

// Polyak 1964, as torch.optim.SGD computes it.
OptimizerSpec sgd() {
  return {"sgd",
          {"momentum_buffer"},
          {{"weight_decay", 0, 0, kMaxRate, "part of the gradient of the same parameters"},
           {"momentum", 0.9, 0, 1, "Share of the last update's direction that is kept", true}}};
}

// Chen et al. 2023 (arXiv:2302.06675).
OptimizerSpec lion() {
  return {"lion",
          {"exp_avg"},
          {{"weight_decay", 0.1, 0, kMaxRate,
            "Decoupled; not of biases, norms and other one-dimensional parameters"},
           {"beta1", 0.9, 0, 1, "share of the momentum in the direction of a step", true},
           {"beta2", 0.99, 0, 1, "decay of the momentum", true}}};
}

// Jordan et al. 2024, as torch.optim.Muon with match_rms_adamw: one rate for matrices and for what
// AdamW updates. The moment of both is one state.
OptimizerSpec muon() {
  OptimizerSpec out{"muon",
                    {"momentum_buffer", "exp_avg_sq"},
                    {{"weight_decay", 0.1, 0, kMaxRate,
                      "Decoupled; not of biases, norms and other one-dimensional parameters"},
                     {"momentum", 0.95, 0, 1, "of matrices, with Nesterov's step", true},
                     {"beta1", 0.9, 0, 1, "Decay of the first moment", true},
                     {"beta2", 0.95, 0, 1, "Decay of the second moment", true},
                     {"adam_eps", 1e-8, 0, 1, "Added to the root of the second moment"}}};
  out.takes_matrices = true;
  out.not_of_matrices = {"exp_avg_sq"};
  return out;
}

// Shazeer and Stern 2018, as torch.optim.Adafactor.
OptimizerSpec adafactor() {
  OptimizerSpec out{
      "adafactor",
      {"row_var", "col_var", "variance"},
      {{"weight_decay", 0, 0, kMaxRate,
        "Decoupled; not of biases, norms and other one-dimensional parameters"},
       {"beta2_decay", -0.8, -10, 0, "Power of the step's number that a new square counts with"},
       {"clip_threshold", 1, 1e-6, 1e6, "Most root mean square of an update"},
       {"scale_eps", 1e-3, 0, 1, "Least scale of a parameter, which rates are times"}}};
  out.factors = true;
  return out;
}

// The first option of the name, by optimizer.
const OptimizerOption* find_option(const OptimizerSpec& optimizer, const std::string& name) {
  const auto found =
      std::find_if(optimizer.options.begin(), optimizer.options.end(),
                   [&](const OptimizerOption& option) { return option.name == name; });
  return found == optimizer.options.end() ? nullptr : &*found;
}

std::vector<std::string> owners(const std::string& option) {
  std::vector<std::string> out;
  for (const OptimizerSpec& optimizer : optimizers()) {
    if (find_option(optimizer, option) != nullptr) out.push_back(optimizer.name);
  }
  return out;
}

// How an optimizer's option is unlike the first one's of its name: "; of sgd, by default 0"; "" for
// not at all.
std::string unlike(const OptimizerSpec& optimizer, const OptimizerOption& option,
                   const OptimizerOption& first) {
  const bool same_help = option.help == first.help;
  if (same_help && option.standard == first.standard) return "";
  return fmt::format("; of {}, by default {}{}", optimizer.name, option.standard,
                     same_help ? "" : ", " + option.help);
}

std::vector<OptimizerOption> merge_options() {
  std::vector<OptimizerOption> firsts, out;
  for (const OptimizerSpec& optimizer : optimizers()) {
    for (const OptimizerOption& option : optimizer.options) {
      const auto known =
          std::find_if(firsts.begin(), firsts.end(),
                       [&](const OptimizerOption& other) { return other.name == option.name; });
      if (known != firsts.end()) {
        out[static_cast<std::size_t>(known - firsts.begin())].help +=
            unlike(optimizer, option, *known);
        continue;
      }
      firsts.push_back(option);
      out.push_back(option);
      const std::vector<std::string> of = owners(option.name);
      if (of.size() < optimizers().size())
        out.back().help += fmt::format(" ({})", fmt::join(of, ", "));
    }
  }
  return out;
}

}  // namespace

bool OptimizerSpec::keeps(const std::string& state, bool of_matrix) const {
  const auto left_out = std::find(not_of_matrices.begin(), not_of_matrices.end(), state);
  return !of_matrix || left_out == not_of_matrices.end();
}

std::vector<std::int64_t> OptimizerSpec::state_shape(const std::string& state,
                                                     const ParamSpec& param, bool of_matrix) const {
  if (!keeps(state, of_matrix)) return {};
  if (!factors) return param.shape;
  const bool is_vector = param.shape.size() < 2, of_vectors = state == states[2];
  if (is_vector != of_vectors) return {};
  std::vector<std::int64_t> out = param.shape;
  if (is_vector) return out;
  if (state == states[0]) {
    out.pop_back();
    return out;
  }
  const auto num_matrices = static_cast<std::int64_t>(matrix_rows(param).size());
  out.erase(out.end() - 2);
  if (num_matrices > 1) out.insert(out.begin(), num_matrices);
  return out;
}

std::vector<Range> matrix_rows(const ParamSpec& matrix) {
  if (matrix.split.dim != 0) return {{0, matrix.shape[0]}};
  std::vector<Range> out;
  for (const std::int64_t rows : matrix.split.segments) {
    const std::int64_t begin = out.empty() ? 0 : out.back().end;
    out.push_back({begin, begin + rows});
  }
  return out;
}

double matrix_flops(const ParamSpec& matrix) {
  double flops = 0;
  for (const Range& rows : matrix_rows(matrix)) {
    const auto [few, many] = std::minmax({rows.size(), matrix.shape[1]});
    const auto m = static_cast<double>(few), n = static_cast<double>(many);
    // X X^T, its square, and their sum times X; a multiply-add each.
    flops += kOrthogonalSteps * (4 * m * m * n + 2 * m * m * m);
  }
  return flops;
}

double OptimizerSpec::relative_time() const {
  constexpr int kNormAndClipping = 2;
  return static_cast<double>(words() + kNormAndClipping) /
         (default_optimizer().words() + kNormAndClipping);
}

const std::vector<OptimizerSpec>& optimizers() {
  static const std::vector<OptimizerSpec> all = {adamw(), sgd(), lion(), muon(), adafactor()};
  return all;
}

const OptimizerSpec& default_optimizer() { return optimizers().front(); }

const std::vector<std::string>& optimizer_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const OptimizerSpec& optimizer : optimizers()) out.push_back(optimizer.name);
    return out;
  }();
  return names;
}

const OptimizerSpec& find_optimizer(const std::string& name) {
  for (const OptimizerSpec& optimizer : optimizers()) {
    if (optimizer.name == name) return optimizer;
  }
  throw ConfigError("[optimizer] '", name, "' is not one of ",
                    fmt::format("{}", fmt::join(optimizer_names(), ", ")),
                    did_you_mean(name, optimizer_names()));
}

const std::vector<OptimizerOption>& optimizer_options() {
  static const std::vector<OptimizerOption> all = merge_options();
  return all;
}

OptimizerChoice::OptimizerChoice(const std::string& name, std::map<std::string, double> values)
    : spec_(&find_optimizer(name)), values_(std::move(values)) {
  check();
}

void OptimizerChoice::choose(const std::string& name) { spec_ = &find_optimizer(name); }

void OptimizerChoice::check() const {
  for (const auto& [option, value] : values_) {
    if (find_option(*spec_, option) != nullptr) continue;
    const std::vector<std::string> of = owners(option);
    GALV_CHECK(!of.empty(), "no optimizer has an option ", option);
    throw ConfigError("[optimizer] ", option, " ", value, " is an option of ",
                      fmt::format("{}", fmt::join(of, ", ")), ", not of ", spec_->name,
                      "; leave it away, or choose optimizer ", of.front());
  }
}

std::optional<double> OptimizerChoice::find(const std::string& option) const {
  const OptimizerOption* known = find_option(*spec_, option);
  if (known == nullptr) return std::nullopt;
  const auto given = values_.find(option);
  return given != values_.end() ? given->second : known->standard;
}

double OptimizerChoice::value(const std::string& option) const {
  const std::optional<double> found = find(option);
  GALV_CHECK(found.has_value(), spec_->name, " has no option ", option);
  return *found;
}

}  // namespace galvatron::spec
