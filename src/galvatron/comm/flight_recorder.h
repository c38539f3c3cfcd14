// The last collectives and layers of one rank, in a ring of fixed size: what it does now, for the
// ranks that watch over each other, and what it did last, for whoever asks why a job ended.
#pragma once
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/json.h"

namespace galvatron::comm {

// `kind` and `what` are texts that live for ever.
struct FlightEntry {
  std::int64_t number = -1;   // counted over all that this rank does
  const char* kind = "";      // "all_gather", "send", "forward", "saving a checkpoint"
  int group = -1;             // of a collective: as add_group() numbered it
  std::int64_t sequence = 0;  // of a collective: counted in its group, alike on all its ranks
  std::int64_t bytes = 0;     // of this rank's input
  int peer = -1;              // of a send or receive: the other's global rank
  int layer = -1;             // of a forward or backward
  int microbatch = -1;
  std::int64_t step = 0;  // of training, from 1; 0: before
  double started = 0;     // seconds of the monotonic clock
  double ended = 0;       // 0: under way
};

// All methods may be called from any thread.
class FlightRecorder {
 public:
  explicit FlightRecorder(std::size_t capacity = 1024);

  // The number by which entries name the group.
  int add_group(const std::vector<int>& ranks);
  void set_step(std::int64_t step);

  // Number, step, sequence and start are filled in. Gives the entry's number.
  std::int64_t start(FlightEntry entry);
  void end(std::int64_t number);

  // The rank's own thread waits for entry `number`, or, with -1, for none any more.
  void wait_for(std::int64_t number);
  // While somebody listens: hears of every time in which that thread was held up by an entry, on
  // that thread; `ranks`: of its group; and of its beginning. Who listened before hears no more.
  using OnWait = std::function<void(const FlightEntry& entry, const std::vector<int>& ranks,
                                    double begin, double end)>;
  void listen(const void* who, OnWait on_wait, std::function<void()> on_begin = {});
  void stop_listening(const void* who);  // where it is still who listens
  // ... works on entry `number` of a layer or of files.
  void work_on(std::int64_t number, bool on_files);

  // Starts an entry and ends it when it goes.
  class Scope {
   public:
    Scope(FlightRecorder& recorder, const FlightEntry& entry, bool on_files);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    FlightRecorder& recorder_;
    std::int64_t number_, before_;
    bool before_on_files_;
  };
  // Reading or writing files, for which the limit of I/O holds.
  static Scope files(FlightRecorder& recorder, const char* what) {
    FlightEntry entry;
    entry.kind = what;
    return Scope(recorder, entry, /*on_files=*/true);
  }

  struct Now {
    std::int64_t events = 0;  // entries that were started or ended so far
    std::int64_t step = 0;
    std::optional<FlightEntry> waits_for;
    bool on_files = false;
    std::string doing;       // "forward of layer 7, microbatch 2"; "after ..." of what has ended
    std::vector<int> group;  // of waits_for
  };
  Now now() const;
  std::vector<FlightEntry> entries() const;  // oldest first

  // Where write_file() writes {"reason", ...header, "entries"}; it does nothing before. Nor does it
  // fail: it serves the end of a job that has failed already.
  void set_file(const std::string& path, const OrderedJson& header);
  void write_file(const std::string& reason) const noexcept;

 private:
  friend class Scope;
  FlightEntry* find(std::int64_t number);
  const FlightEntry* find(std::int64_t number) const;

  struct Members {
    std::vector<int> ranks;
    std::int64_t collectives = 0, sent = 0, received = 0;
  };
  OrderedJson entries_to_json() const;

  mutable std::mutex mutex_;
  std::string path_;
  OrderedJson header_;
  std::vector<FlightEntry> ring_;
  std::vector<Members> groups_;
  std::int64_t started_ = 0, ended_ = 0;
  std::int64_t step_ = 0;
  FlightEntry waits_for_;  // a copy: the ring may have moved on
  bool waits_ = false;
  OnWait on_wait_;
  std::function<void()> on_begin_;
  const void* listener_ = nullptr;
  double wait_began_ = 0;
  std::int64_t works_on_ = -1;
  bool on_files_ = false;
};

// "forward of layer 7, microbatch 2", "all_gather 812".
std::string describe(const FlightEntry& entry);

}  // namespace galvatron::comm
