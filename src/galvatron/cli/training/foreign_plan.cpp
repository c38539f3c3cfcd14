#include "galvatron/cli/training/foreign_plan.h"

#include "galvatron/galvatron2/plan_file.h"
#include "galvatron/train/data_fit.h"

namespace galvatron::cli {

void read_foreign_plan(train::TrainJob& job, int world_size) {
  const std::string& model = job.stored_model ? job.stored_model->name : job.model_source();
  if (job.plan.empty() || job.given_plan || model.empty()) return;
  if (!galvatron2::is_galvatron2_plan(read_json_file(job.plan))) return;
  const galvatron2::PlanFacts facts{model, job.overrides, world_size,
                                    train::job_spec(job, 0).precision};
  job.given_plan = galvatron2::read_any_plan(job.plan, train::load_job_model(job), facts);
}

}  // namespace galvatron::cli
