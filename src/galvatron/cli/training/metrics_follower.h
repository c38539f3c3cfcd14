// galvatron-metrics beside a run: it reads the metrics as they are written and tells TensorBoard or
// Weights & Biases. Training waits for it at the end alone, and goes on where it fails.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "galvatron/train/train_job.h"

namespace galvatron::cli {

struct FollowerOptions {
  std::string tensorboard;  // folder of event files; empty: none
  std::string wandb;        // project; empty: none
  bool any() const { return !tensorboard.empty() || !wandb.empty(); }
};

// ConfigError where the job writes no metrics that could be followed, or the Python package is not
// there.
void check_followers(const FollowerOptions& options, const train::TrainJob& job);

class MetricsFollowers {
 public:
  // Starts what `options` ask for, once the metrics file is there. `note`: one line for the user.
  MetricsFollowers(const FollowerOptions& options, const train::TrainJob& job,
                   std::function<void(const std::string&)> note);
  // Whoever still runs reads the rest and ends by itself.
  ~MetricsFollowers();
  MetricsFollowers(const MetricsFollowers&) = delete;
  MetricsFollowers& operator=(const MetricsFollowers&) = delete;

  // Says who has ended before the run. Waits for nothing.
  void look_after();
  // The run has ended: waits until all is told, for as long as people wait.
  void finish();

 private:
  struct Follower {
    std::string what;  // "TensorBoard"
    pid_t process = -1;
    int input = -1;  // it ends when this is closed
    bool ended = false;
  };
  void start(const std::string& what, const std::vector<std::string>& arguments);
  bool has_ended(Follower& follower);

  std::function<void(const std::string&)> note_;
  std::vector<Follower> followers_;
};

}  // namespace galvatron::cli
