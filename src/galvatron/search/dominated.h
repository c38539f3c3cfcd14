// Strategies that no plan of any schedule needs.
#pragma once
#include "galvatron/cost/cost_tables.h"

namespace galvatron::search {

// Takes away every candidate of a layer type that another one of the same layout, which may go
// together with the same tied layers, equals or undercuts in every number of its LayerCost: put in
// its place in a plan, it changes no layout, and no time and no moment's memory gets larger.
void drop_dominated(cost::CostTables& tables);

}  // namespace galvatron::search
