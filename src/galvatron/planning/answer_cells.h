// The columns of a table that say what a search found: the same ones wherever plans stand in rows.
#pragma once
#include <vector>

#include "galvatron/planning/question.h"
#include "galvatron/planning/result_table.h"
#include "galvatron/search/search.h"

namespace galvatron::planning {

// Step time, throughput, MFU, days, peak memory, plan.
std::vector<ResultColumn> answer_columns();
// Their cells, of the best plan; or by how much it does not fit in `memory`, or that none was found
// in time.
std::vector<ResultCell> answer_cells(const Question& question, const search::SearchResult& result,
                                     Bytes memory);
// "" in the place of all of them but the last, which is `text`.
std::vector<ResultCell> no_answer(const std::string& text);

// "2 stages, 64 microbatches, embedding tp8 | 40 x block tp4 zero1 | head tp8": a plan in one line.
std::string plan_line(const search::FoundPlan& found);
// "2 stages, 64 microbatches, 40 x tp4 zero1, 2 x tp8": the same, as long as any other: layers by
// strategy, the two that most have.
std::string brief_plan(const search::FoundPlan& found);

}  // namespace galvatron::planning
