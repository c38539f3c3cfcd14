// The batches of a run, read by a thread while the steps before them run.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "galvatron/data/sample_source.h"
#include "galvatron/runtime/engine.h"
#include "galvatron/train/device_copies.h"

namespace galvatron::train {

// Every step of a plan asks for the same rectangles, so the first step says what to read for those
// behind it: a rank that asks for nothing reads nothing. What was not foreseen is read when it is
// asked for; what is handed out is the same either way. At most kBatchesAhead batches wait, on the
// device where there is one.
class ReadAhead {
 public:
  // Samples below `end` of the run are read; `samples` must outlive this. `device`: where what
  // layers take goes from the thread that reads.
  ReadAhead(const data::SampleSource& samples, std::int64_t global_batch, std::int64_t end,
            c10::Device device = c10::kCPU);
  // Waits for the read under way, and drops what nobody asked for, failures included.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // Samples consumed .. consumed + global_batch - 1 of the run; the last batch is gone. What fails
  // while it is read ahead fails where it is asked for.
  runtime::InputSource& batch(std::int64_t consumed);
  std::int64_t global_batch() const { return global_batch_; }
  // Seconds that the asker has waited for this batch so far.
  double waited() const { return waited_; }

  static constexpr std::size_t kBatchesAhead = 2;

 private:
  struct Request {
    spec::InputKind kind{};
    Range samples, tokens;
    bool operator==(const Request&) const = default;
  };
  struct Item {
    Request request;
    DeviceCopies::Copy copy;
    std::exception_ptr failure;
    bool done = false, taken = false;
  };
  struct Batch {
    std::int64_t consumed = 0;
    std::optional<double> num_labels;
    std::vector<Item> items;
  };
  class Input;

  void start();
  void work();
  void read(Batch& batch, std::unique_lock<std::mutex>& lock);
  DeviceCopies::Copy fetch(const Batch& batch, const Request& request) const;
  at::Tensor take(const Request& request);
  double num_labels();

  const data::SampleSource& samples_;
  std::int64_t global_batch_, end_;
  DeviceCopies copies_;
  std::unique_ptr<Input> input_;
  std::int64_t consumed_ = -1;  // of the batch that is handed out
  double waited_ = 0;
  std::optional<double> num_labels_;
  std::vector<Request> asked_;  // of this batch so far

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Request> foreseen_;
  std::deque<std::shared_ptr<Batch>> ahead_;  // in order; the first may be the one handed out
  std::int64_t next_ = 0;                     // to be read
  bool stops_ = false;
  std::thread thread_;
};

}  // namespace galvatron::train
