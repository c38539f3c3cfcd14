// Where the rank threads of one process meet: slots in memory, one mutex, a condition variable per
// operation.
//
// An operation copies its input when it is issued, so issuing never blocks; waiting blocks until
// the last member has issued it. The hall compares what the members ask for and fails the operation
// when they differ.
#pragma once
#include <chrono>
#include <compare>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace galvatron::comm {

// What one member asks for; equal on all members.
struct ThreadRequest {
  std::string operation;  // "all_reduce sum"
  at::ScalarType dtype = at::kFloat;
  std::int64_t numel = 0;
  bool operator==(const ThreadRequest&) const = default;
};

// One collective of one group: who has come and what they brought.
struct ThreadMeeting {
  explicit ThreadMeeting(int size)
      : inputs(size), input_sizes(size), output_sizes(size), came(size) {}
  std::condition_variable changed;
  ThreadRequest request;  // of the first to come
  int first = -1;
  int num_came = 0;
  bool ready = false;  // all came and `finish` has run
  std::string error;
  std::vector<at::Tensor> inputs;  // by rank in the group; undefined where a member brings nothing
  std::vector<std::vector<std::int64_t>> input_sizes;  // all_to_all only
  std::vector<std::vector<std::int64_t>> output_sizes;
  std::vector<bool> came;
  at::Tensor result;  // what `finish` made
};

class ThreadHall {
 public:
  ThreadHall(int size, std::chrono::milliseconds timeout) : size_(size), timeout_(timeout) {}
  int size() const { return size_; }

  // One group's meetings, by operation number, and its letters.
  class Room {
   public:
    Room(ThreadHall& hall, std::vector<int> ranks);

    struct Visit {
      int rank = 0;             // in the group
      std::int64_t number = 0;  // of the operation, counted by each member
      ThreadRequest request;
      at::Tensor input;
      std::vector<std::int64_t> input_sizes;
      std::vector<std::int64_t> output_sizes;
    };
    // `finish` runs once, on the last member to come, outside the lock; the others may then read
    // the meeting.
    std::shared_ptr<ThreadMeeting> enter(Visit visit,
                                         const std::function<void(ThreadMeeting&)>& finish);
    void wait(ThreadMeeting& meeting, const ThreadRequest& request);

    // Letters: from and to are ranks in the group.
    struct Address {
      int from = 0;
      int to = 0;
      int tag = 0;
      auto operator<=>(const Address&) const = default;
    };
    void post(Address address, at::Tensor letter);
    // The number of the next letter to ask for, then the letter; it must fit `expected`.
    std::int64_t reserve_letter(Address address);
    at::Tensor take_letter(Address address, std::int64_t number, const at::Tensor& expected);

   private:
    friend class ThreadHall;
    struct Mailbox {
      std::int64_t posted = 0;
      std::int64_t reserved = 0;
      std::map<std::int64_t, at::Tensor> letters;
      std::condition_variable changed;
    };
    void check_visit(ThreadMeeting& meeting, const Visit& visit) const;
    void check_all_to_all(ThreadMeeting& meeting) const;
    std::string describe(const ThreadRequest& request, int rank) const;
    std::string absent(const ThreadMeeting& meeting) const;

    ThreadHall& hall_;
    std::vector<int> ranks_;
    std::string name_;
    std::map<std::int64_t, std::shared_ptr<ThreadMeeting>> meetings_;
    std::map<Address, Mailbox> mailboxes_;
  };

  Room& room(const std::vector<int>& ranks);

  // Rank `rank` gives up: everybody who waits or comes later fails.
  void leave(int rank) noexcept;

 private:
  // Waits for `done` under the lock. RuntimeFailure when a rank leaves or the time is over.
  void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
            const std::string& what, const std::function<bool()>& done,
            const std::function<std::string()>& missing);
  void check_nobody_left(const std::string& what) const;

  int size_;
  std::chrono::milliseconds timeout_;
  std::mutex mutex_;
  std::optional<int> left_;  // the first rank that gave up
  std::map<std::vector<int>, std::unique_ptr<Room>> rooms_;
};

}  // namespace galvatron::comm
