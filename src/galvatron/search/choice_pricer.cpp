#include "galvatron/search/choice_pricer.h"

#include <span>

namespace galvatron::search {

ChoicePricer::ChoicePricer(const cost::CostTables& tables, const std::vector<int>& layers_per_stage,
                           std::int64_t budget)
    : tables_(tables), moments_(cost::flight_moments(tables.shape)), budget_(budget) {
  std::int64_t begin = 0;
  for (const int layers : layers_per_stage) {
    layers_.push_back({begin, begin + layers});
    begin += layers;
  }
}

std::vector<Segment> ChoicePricer::segments() const {
  const auto type_of = [&](std::int64_t layer) {
    return tables_.type_of_layer[static_cast<std::size_t>(layer)];
  };
  std::vector<Segment> out;
  for (int stage = 0; stage < num_stages(); ++stage) {
    for (std::int64_t begin = layers(stage).begin; begin < layers(stage).end;) {
      std::int64_t end = begin;
      while (end < layers(stage).end && type_of(end) == type_of(begin)) ++end;
      out.push_back({stage, {begin, end}});
      begin = end;
    }
  }
  return out;
}

bool ChoicePricer::fits(const Choice& choice, int stage) const {
  const Range its_layers = layers(stage);
  return cost::rank_memory_peak(tables_, choice, std::span(&its_layers, 1),
                                moments_[static_cast<std::size_t>(stage)])
             .total() <= budget_;
}

ChoicePricer::Stages ChoicePricer::price(const Choice& choice) const {
  Stages out;
  for (int stage = 0; stage < num_stages(); ++stage) {
    out.push_back(cost::stage_numbers(tables_, choice, layers(stage), stage));
  }
  return out;
}

void ChoicePricer::reprice(const Choice& choice, int stage, Stages& stages) const {
  for (int one = stage; one < std::min(stage + 2, num_stages()); ++one) {
    stages[static_cast<std::size_t>(one)] = cost::stage_numbers(tables_, choice, layers(one), one);
  }
}

}  // namespace galvatron::search
