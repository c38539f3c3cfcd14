#include "galvatron/comm/life_watch.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

#include "galvatron/base/error.h"
#include "galvatron/base/progress.h"
#include "galvatron/comm/rank_life.h"
#include "galvatron/comm/torch_headers.h"

namespace galvatron::comm {
namespace {

using Bytes8 = std::vector<std::uint8_t>;

constexpr double kLongestPause = 1;  // seconds between beats
constexpr double kHangingGrace = 10;
constexpr double kLeavingGrace = 10;
// Of the step limit, what a process that works uses of a core at the least. Its own bookkeeping
// stays far below.
constexpr double kWorkShare = 0.02;

double cpu_seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

Bytes8 to_bytes(const std::string& text) { return {text.begin(), text.end()}; }
std::string to_text(const Bytes8& bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

std::string life_key(int rank) { return "life/" + std::to_string(rank); }

// Two threads: the courier talks to the store, which may hang; the judge never does.
class LifeWatch::Shared : public std::enable_shared_from_this<Shared> {
 public:
  Shared(c10::intrusive_ptr<c10d::Store> store, const WatchOptions& options,
         std::shared_ptr<FlightRecorder> flight)
      : store_(std::move(store)),
        options_(options),
        flight_(std::move(flight)),
        pause_(std::min(kLongestPause, options.limits.step / 5.0)) {
    answered_ = now_seconds();
    Beat none;
    none.number = -1;
    seen_.assign(static_cast<std::size_t>(options.world_size), {none, answered_});
  }

  void start() {
    courier_ = std::thread([self = shared_from_this()] { self->carry(); });
    judge_ = std::thread([self = shared_from_this()] { self->watch(); });
  }

  void stop() {
    {
      std::unique_lock lock(mutex_);
      stops_ = true;
      changed_.notify_all();
      const auto grace = std::chrono::duration<double>(2 * kLeavingGrace);
      changed_.wait_for(lock, grace, [&] { return courier_is_done_; });
    }
    judge_.join();
    if (courier_is_done_) {
      courier_.join();
    } else {
      courier_.detach();
    }
  }

  void give_up() {
    const std::lock_guard lock(mutex_);
    gave_up_ = true;
  }

  void listen(std::function<void(const std::string&)> on_end,
              std::function<std::string()> failure) {
    const std::lock_guard lock(callback_mutex_);
    on_end_ = std::move(on_end);
    failure_ = std::move(failure);
  }

  void tell_failure(const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (!sentence_.empty() || !to_tell_.empty()) return;
    to_tell_ = rank_on_host(options_.rank, options_.host) + " failed: " + why;
    changed_.notify_all();
  }

  const std::shared_ptr<FlightRecorder>& flight() const { return flight_; }

 private:
  // How long this rank's own work stands still.
  class Idleness {
   public:
    double seconds(std::int64_t events, double cpu, double limit) {
      const double now = now_seconds();
      if (events != events_ || cpu - cpu_ > kWorkShare * limit) {
        events_ = events;
        cpu_ = cpu;
        since_ = now;
      }
      return now - since_;
    }

   private:
    std::int64_t events_ = -1;
    double cpu_ = 0, since_ = 0;
  };

  struct Arrival {
    Beat beat;
    double time = 0;
  };

  bool pause(std::unique_lock<std::mutex>& lock) {
    changed_.wait_for(lock, std::chrono::duration<double>(pause_),
                      [&] { return stops_ || !to_tell_.empty(); });
    return !stops_;
  }

  // --- the courier ---

  void carry() {
    std::int64_t number = 1;  // 0 was said when the ranks met
    try {
      for (bool goes_on = true; goes_on;) {
        say(number++, /*leaves=*/false);
        hear();
        std::unique_lock lock(mutex_);
        goes_on = pause(lock);
      }
      say(number, /*leaves=*/true);
      if (options_.serves_store && leaves_in_peace()) see_others_off();
    } catch (const std::exception&) {
      // The store's host has ended: connections to its ranks break too, and tell more.
      const std::lock_guard lock(mutex_);
      store_is_lost_ = true;
    }
    const std::lock_guard lock(mutex_);
    courier_is_done_ = true;
    changed_.notify_all();
  }

  void say(std::int64_t number, bool leaves) {
    const FlightRecorder::Now now = flight_->now();
    const double cpu = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    Beat beat = make_beat(now, options_.host,
                          idleness_.seconds(now.events, cpu, options_.limits.step), number);
    beat.has_left = leaves;
    store_->set(life_key(options_.rank), to_bytes(beat_to_text(beat)));
    std::string to_tell;
    {
      const std::lock_guard lock(mutex_);
      to_tell.swap(to_tell_);
    }
    if (!to_tell.empty()) store_->compareSet(kVerdictKey, to_bytes(kNoVerdict), to_bytes(to_tell));
  }

  // Ranks that this one watches: rank 0 all, the others rank 0.
  int num_watched() const { return options_.rank == 0 ? options_.world_size : 1; }

  void hear() {
    std::vector<std::string> keys{kVerdictKey};
    for (int rank = 0; rank < num_watched(); ++rank) keys.push_back(life_key(rank));
    const std::vector<Bytes8> values = store_->multiGet(keys);
    const double now = now_seconds();
    const std::lock_guard lock(mutex_);
    answered_ = now;
    const std::string verdict = to_text(values[0]);
    if (sentence_.empty() && verdict != kNoVerdict) sentence_ = verdict;
    for (std::size_t i = 1; i < values.size(); ++i) {
      Arrival& arrival = seen_[i - 1];
      Beat beat = beat_from_text(to_text(values[i]));
      if (beat.number != arrival.beat.number) arrival = {std::move(beat), now};
    }
    changed_.notify_all();
  }

  bool leaves_in_peace() {
    const std::lock_guard lock(mutex_);
    return !gave_up_ && sentence_.empty();
  }

  bool all_others_have_left() {
    const std::lock_guard lock(mutex_);
    return std::all_of(seen_.begin() + 1, seen_.end(),
                       [](const Arrival& arrival) { return arrival.beat.has_left; });
  }

  void see_others_off() {
    const double deadline = now_seconds() + kLeavingGrace;
    while (now_seconds() < deadline && !all_others_have_left()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      hear();
    }
  }

  // --- the judge ---

  void watch() {
    double last = now_seconds();
    std::unique_lock lock(mutex_);
    while (!stops_) {
      changed_.wait_for(lock, std::chrono::duration<double>(pause_), [&] { return stops_; });
      if (stops_) return;
      const double now = now_seconds();
      // Who was stopped himself has heard nothing meanwhile.
      if (now - last > 5 * pause_) forgive(now - last);
      last = now;
      if (sentence_.empty()) find_fault(now);
      if (!sentence_.empty() || something_failed(lock)) return end_job(lock);
    }
  }

  void forgive(double seconds) {
    for (Arrival& arrival : seen_) arrival.time += seconds;
    answered_ += seconds;
  }

  void find_fault(double now) {
    std::vector<SeenBeat> seen;
    for (int rank = 0; rank < num_watched(); ++rank) {
      const Arrival& arrival = seen_[static_cast<std::size_t>(rank)];
      seen.push_back({arrival.beat, now - arrival.time});
    }
    // What this rank waits for it knows best; of those between nothing is said.
    if (options_.rank > 0) {
      seen.resize(static_cast<std::size_t>(options_.rank));
      seen.push_back({make_beat(flight_->now(), options_.host, 0, 0), 0});
    }
    std::optional<std::string> verdict;
    if (!store_is_lost_ && now - answered_ > options_.limits.step) {
      verdict = detail::concat("the ranks' store shows no life for ", options_.limits.step,
                               " s: was rank 0's process stopped, or is its machine gone?");
    } else if (options_.rank == 0 || is_silent(seen[0])) {
      verdict = judge(seen, options_.limits);
    }
    if (!verdict) return;
    sentence_ = *verdict;
    to_tell_ = *verdict;
  }

  // Of rank 0, the others know only whether it is there at all: it judges itself by its work.
  bool is_silent(const SeenBeat& rank0) const { return rank0.silence > options_.limits.step; }

  bool something_failed(std::unique_lock<std::mutex>& lock) {
    lock.unlock();
    std::string failure;
    {
      const std::lock_guard callbacks(callback_mutex_);
      if (failure_) failure = failure_();
    }
    lock.lock();
    if (failure.empty() || !sentence_.empty()) return !sentence_.empty();
    sentence_ = failure;
    to_tell_ = failure;
    return true;
  }

  void end_job(std::unique_lock<std::mutex>& lock) {
    const std::string sentence = sentence_;
    changed_.notify_all();
    lock.unlock();
    {
      const std::lock_guard callbacks(callback_mutex_);
      if (on_end_) on_end_(sentence);
    }
    lock.lock();
    changed_.wait_for(lock, std::chrono::duration<double>(kHangingGrace), [&] { return stops_; });
    if (stops_) return;
    const std::int64_t step = flight_->now().step;
    const std::string line = detail::concat(
        "galvatron: error: ", step > 0 ? detail::concat("step ", step, ": ") : "", sentence, "\n");
    flight_->write_file(sentence);
    if (write(STDERR_FILENO, line.data(), line.size()) < 0) _exit(1);
    _exit(1);
  }

  const c10::intrusive_ptr<c10d::Store> store_;
  const WatchOptions options_;
  const std::shared_ptr<FlightRecorder> flight_;
  const double pause_;
  Idleness idleness_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Arrival> seen_;
  double answered_ = 0;   // when the store last did
  std::string sentence_;  // why the job ends
  std::string to_tell_;   // the others
  bool stops_ = false, gave_up_ = false, courier_is_done_ = false, store_is_lost_ = false;

  std::mutex callback_mutex_;
  std::function<void(const std::string&)> on_end_;
  std::function<std::string()> failure_;

  std::thread courier_, judge_;
};

LifeWatch::LifeWatch(c10::intrusive_ptr<c10d::Store> store, const WatchOptions& options,
                     std::shared_ptr<FlightRecorder> flight)
    : shared_(std::make_shared<Shared>(std::move(store), options, std::move(flight))) {
  shared_->start();
}

LifeWatch::~LifeWatch() {
  if (std::uncaught_exceptions() > 0) shared_->give_up();
  shared_->stop();
}

void LifeWatch::listen(std::function<void(const std::string&)> on_end,
                       std::function<std::string()> failure) {
  shared_->listen(std::move(on_end), std::move(failure));
}

void LifeWatch::tell_failure(const std::string& why) { shared_->tell_failure(why); }

void LifeWatch::give_up() { shared_->give_up(); }

const std::shared_ptr<FlightRecorder>& LifeWatch::flight() const { return shared_->flight(); }

}  // namespace galvatron::comm
