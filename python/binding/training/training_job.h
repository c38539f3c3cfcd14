// What train(), evaluate() and a plan for them have in common: a job from Python's options, and the
// ranks of this process's launcher.
#pragma once
#include <optional>
#include <string>

#include <pybind11/pybind11.h>

#include "galvatron/comm/launch.h"
#include "galvatron/train/train_job.h"
#include "galvatron/train/train_options.h"

#include "python_samples.h"

namespace galvatron::binding {

// `options` are those that `text` was read into; what was given is noted in the job.
void read_job(const std::string& text, const OptionList& options, const char* source,
              train::TrainJob& job);
// Its samples are what `make_samples(part, seq_length)` returns, where there is such a function.
void take_samples(const std::optional<pybind11::function>& make_samples, train::TrainJob& job);

// Runs of one process follow one another in one store: each has a name of its own there.
comm::LaunchEnvironment next_environment();
// The job on its device, counted from here on.
comm::World connect(const train::TrainJob& job, const comm::LaunchEnvironment& environment);

// Every rank must iterate the same samples; a sampler that divides them, or an unseeded shuffle,
// would be silent. ConfigError. Collective.
void require_same_samples(const data::SampleSource& samples, comm::World& world);

// Prints a line for the user on standard error.
void print_note(const std::string& line);

}  // namespace galvatron::binding
