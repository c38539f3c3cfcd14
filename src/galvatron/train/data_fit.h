// What of a model follows from the data that it learns, and what an export says of them.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "galvatron/spec/model_spec.h"
#include "galvatron/train/train_job.h"
#include "galvatron/train/weights.h"

namespace galvatron::train {

// Puts numbers in the place of "auto": the vocabulary of the data and of their tokenizer, with a
// token more where masked tokens need one that no text has; and the classes of images. ConfigError
// where the data do not say them.
void fit_to_data(TrainJob& job);

// The job's model: its config with the job's numbers.
spec::ModelSpec load_job_model(const TrainJob& job);

// What another command takes as --model beside the job's overrides: the job's model_source(), or a
// config file below `folder` where the job has another number of classes, which no override says.
std::string model_for_commands(const TrainJob& job, const spec::ModelSpec& model,
                               const std::string& folder);

// Of image files: the names of their classes, and a preprocessor_config.json that makes of a
// picture what the model was trained on. Nothing for other data, and for files that are gone.
void describe_images(const TrainJob& job, const spec::ModelSpec& model, ExportOptions& out);

}  // namespace galvatron::train
