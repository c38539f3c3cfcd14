// One background thread that runs tasks in the order in which they were given. It starts with the
// first task.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "galvatron/comm/backends/backend.h"

namespace galvatron::comm {

class SerialWorker {
 public:
  SerialWorker() = default;
  // Finishes what was submitted.
  ~SerialWorker();
  SerialWorker(const SerialWorker&) = delete;
  SerialWorker& operator=(const SerialWorker&) = delete;

  // The returned state waits for the task and rethrows its exception.
  std::shared_ptr<Pending::State> submit(std::function<void()> task);

 private:
  class Task;
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Task>> queue_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace galvatron::comm
