#include "galvatron/plan/layer_strategy.h"

#include <fmt/format.h>

namespace galvatron::plan {
namespace {

using StrategyProblem = std::optional<std::string>;

StrategyProblem out_of_range(const StrategyField<int>& field, int value) {
  if (field.open_ended()) {
    if (value >= field.least) return std::nullopt;
    return fmt::format("{} {} must be at least {}", field.name, value, field.least);
  }
  if (value >= field.least && value <= field.most) return std::nullopt;
  return fmt::format("{} {} is outside {} .. {}", field.name, value, field.least, field.most);
}

template <typename T>
StrategyProblem out_of_range(const StrategyField<T>&, T) {
  return std::nullopt;
}

// As it is spelled in a message about the values of a kind of layer: "1", or "'none' or 'full'".
template <typename T>
std::string fitting_values(const StrategyField<T>& field, spec::LayerKind kind) {
  if constexpr (NamedEnum<T>) {
    std::string out;
    for (const T value : enum_values<T>()) {
      if (!field.fits(kind, value)) continue;
      out += (out.empty() ? "'" : " or '") + value_text(value) + "'";
    }
    return out;
  } else {
    return value_text(field.standard());
  }
}

template <typename T>
std::string short_text(const StrategyField<T>& field, T value) {
  if constexpr (NamedEnum<T>) return value_text(value);
  if constexpr (field.kIsNumber) return field.word + value_text(value);
  return field.word;
}

}  // namespace

std::array<int, kNumTiedFields> tied_values(const LayerStrategy& strategy) {
  std::array<int, kNumTiedFields> out{};
  std::size_t next = 0;
  for_each_field([&](const auto& field) {
    if (field.tied) out[next++] = static_cast<int>(strategy.*field.member);
  });
  return out;
}

bool split_parameters_alike(const LayerStrategy& a, const LayerStrategy& b) {
  return tied_values(a) == tied_values(b);
}

std::optional<TiedDifference> tied_difference(const LayerStrategy& a, const LayerStrategy& b) {
  std::optional<TiedDifference> out;
  for_each_field([&](const auto& field) {
    const auto one = a.*field.member, other = b.*field.member;
    if (out || !field.tied || one == other) return;
    out = {field.name, value_text(one), value_text(other)};
  });
  return out;
}

StrategyProblem range_problem(const LayerStrategy& strategy) {
  StrategyProblem problem;
  for_each_field([&](const auto& field) {
    const auto value = strategy.*field.member;
    if (problem) return;
    problem = out_of_range(field, value);
    if (problem || field.supported() || value == field.standard()) return;
    problem = fmt::format("{} {} is not supported yet; use {}", field.name, value_text(value),
                          field.instead);
  });
  return problem;
}

StrategyProblem misfit_problem(const LayerStrategy& strategy, spec::LayerKind kind) {
  StrategyProblem problem;
  for_each_field([&](const auto& field) {
    const auto value = strategy.*field.member;
    if (problem || field.fits(kind, value)) return;
    const char* quote = NamedEnum<decltype(field.standard())> ? "'" : "";
    problem = fmt::format("{} {}{}{} must be {} here: {}", field.name, quote, value_text(value),
                          quote, fitting_values(field, kind), field.misfit(kind, value));
  });
  return problem;
}

LayerStrategy fitted(LayerStrategy strategy, spec::LayerKind kind) {
  for_each_field([&](const auto& field) {
    auto& value = strategy.*field.member;
    if (!field.fits(kind, value)) value = field.standard();
  });
  return strategy;
}

std::string to_text(const LayerStrategy& strategy) {
  std::string out;
  for_each_field([&](const auto& field) {
    const auto value = strategy.*field.member;
    if (value == field.standard()) return;
    std::string text = short_text(field, value);
    if (field.joins_previous() && out.empty()) text.erase(0, 1);
    out += (out.empty() || field.joins_previous() ? "" : " ") + text;
  });
  return out.empty() ? "dp" : out;
}

}  // namespace galvatron::plan
