#include "galvatron/comm/store.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "galvatron/base/error.h"
#include "galvatron/comm/address.h"
#include "galvatron/comm/backends/backend.h"
#include "galvatron/comm/backends/error_text.h"
#include "galvatron/comm/life_watch.h"
#include "galvatron/comm/listener.h"

namespace galvatron::comm {
namespace {

c10d::TCPStoreOptions store_options(int port, bool serves, std::chrono::milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(port);
  options.isServer = serves;
  options.waitWorkers = false;
  options.timeout = timeout;
  return options;
}

constexpr std::chrono::seconds kStorePatience{20};
// In a store that a launcher hosts: the prefix of the ranks that met last.
constexpr const char* kCurrentMeetingKey = "galvatron/current";

std::string place_of(const LaunchEnvironment& environment) {
  return environment.master_addr + ":" + std::to_string(environment.master_port);
}

[[noreturn]] void refuse_foreign_store(const LaunchEnvironment& environment,
                                       const std::string& reason) {
  throw RuntimeFailure("rank ", environment.rank, " found no store of ranks at ",
                       place_of(environment), ", though something listens there (", reason,
                       "): does another program have the port? Choose another one (MASTER_PORT)");
}

// A program that holds the port may accept connections and say nothing for ever, where torch would
// wait as long.
c10::intrusive_ptr<c10d::Store> open_store(const LaunchEnvironment& environment) {
  using Opened = c10::intrusive_ptr<c10d::Store>;
  std::packaged_task<Opened()> task(
      [address = environment.master_addr,
       options = store_options(environment.master_port, false, kStorePatience / 2)]() -> Opened {
        return c10::make_intrusive<c10d::TCPStore>(address, options);
      });
  std::future<Opened> opened = task.get_future();
  std::thread(std::move(task)).detach();
  if (opened.wait_for(kStorePatience) != std::future_status::ready)
    refuse_foreign_store(environment, "no answer within 20 s");
  try {
    return opened.get();
  } catch (const std::exception& error) {
    refuse_foreign_store(environment, short_reason(error));
  }
}

c10::intrusive_ptr<c10d::Store> find_store(const LaunchEnvironment& environment,
                                           std::chrono::milliseconds timeout) {
  require_resolvable(environment.master_addr, timeout);
  const std::string problem =
      wait_for_listener(environment.master_addr, environment.master_port, timeout);
  if (!problem.empty()) {
    throw RuntimeFailure("rank ", environment.rank, " found no store at ", place_of(environment),
                         " within ", timeout.count(), " ms: is rank 0 running there? (", problem,
                         ")");
  }
  auto store = open_store(environment);
  store->setTimeout(timeout);
  return store;
}

// Of the keys of these ranks: a hosted store outlives them.
std::string prefix(const LaunchEnvironment& environment) {
  const std::string attempt = "galvatron/attempt" + std::to_string(environment.restart_count);
  return environment.purpose.empty() ? attempt : attempt + "/" + environment.purpose;
}

using StoreBytes = std::vector<std::uint8_t>;

void put(c10d::Store& store, const std::string& key, const std::string& text) {
  store.set(key, StoreBytes(text.begin(), text.end()));
}

std::string take(c10d::Store& store, const std::string& key) {
  const StoreBytes bytes = store.get(key);
  return {bytes.begin(), bytes.end()};
}

// What stands under `key` of the ranks that met last.
std::optional<std::string> find_current(c10d::Store& store, const std::string& key) {
  try {
    if (!store.check({kCurrentMeetingKey})) return std::nullopt;
    const std::string path = take(store, kCurrentMeetingKey) + "/" + key;
    return store.check({path}) ? std::optional(take(store, path)) : std::nullopt;
  } catch (const c10::Error&) {
    return std::nullopt;
  }
}

// Ranks by what they take for the number of all.
using RanksOfSize = std::map<int, std::vector<int>>;

std::string different_sizes(const RanksOfSize& sizes) {
  std::string said;
  for (const auto& [size, ranks] : sizes) {
    if (!said.empty()) said += " and ";
    said += std::to_string(size) + " for " + rank_set_name(ranks);
  }
  return "[launch] WORLD_SIZE is " + said + ": give all ranks the same";
}

// How ranks meet in a store in which earlier ranks may have left anything: each says hello with a
// name that nobody had before, rank 0 answers that name, and only who was answered confirms, with
// its WORLD_SIZE. Rank 0 then says who has met, or to all alike that their sizes differ.
class Reception {
 public:
  Reception(c10d::Store& store, const LaunchEnvironment& environment, std::string base,
            std::chrono::milliseconds timeout)
      : store_(store),
        environment_(environment),
        base_(std::move(base)),
        timeout_(timeout),
        deadline_(Clock::now() + timeout),
        name_(own_name()) {}

  // Prefix and hosts of those who met.
  Meeting meet() {
    Meeting out;
    try {
      put(store_, hello_key(environment_.rank), name_ + " " + host_name());
      out.prefix = environment_.rank == 0 ? receive_all() : be_received();
      const Json hosts = Json::parse(take(store_, go_key(out.prefix)));
      if (hosts.is_string()) hear_refusal(out.prefix, hosts.get<std::string>());
      require_same_size(static_cast<int>(hosts.size()));
      for (const Json& host : hosts) out.hosts.push_back(host.get<std::string>());
    } catch (const c10::DistStoreError&) {
      fail_absent();
    } catch (const c10::Error& error) {
      throw RuntimeFailure("rank ", environment_.rank, " lost the store at ",
                           place_of(environment_), ": its host has ended (", short_reason(error),
                           ")");
    }
    return out;
  }

 private:
  using Clock = std::chrono::steady_clock;

  static std::string own_name() {
    std::random_device random;
    return detail::concat(getpid(), "-", random(), "-", random());
  }
  std::string hello_key(int rank) const { return base_ + "/hello/" + std::to_string(rank); }
  std::string answer_key(int rank, const std::string& name) const {
    return base_ + "/answer/" + std::to_string(rank) + "/" + name;
  }
  static std::string confirm_key(const std::string& prefix, int rank) {
    return prefix + "/joined/" + std::to_string(rank);
  }
  // The hosts of all, or a sentence about their sizes.
  static constexpr const char* kGo = "go";
  static std::string go_key(const std::string& prefix) { return prefix + "/" + kGo; }
  static std::string heard_key(const std::string& prefix, int rank) {
    return prefix + "/heard/" + std::to_string(rank);
  }

  std::chrono::milliseconds time_left() const {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now());
    return std::max(left, std::chrono::milliseconds(1));
  }

  // Of those who have met without this rank, or while it was answered.
  void require_same_size(int of_rank_0) const {
    if (of_rank_0 == environment_.world_size) return;
    throw ConfigError(
        different_sizes({{of_rank_0, {0}}, {environment_.world_size, {environment_.rank}}}));
  }

  [[noreturn]] void hear_refusal(const std::string& prefix, const std::string& sentence) {
    put(store_, heard_key(prefix, environment_.rank), "1");
    throw ConfigError(sentence);
  }

  // The first beat is there before anybody looks for it.
  void confirm(const std::string& prefix) {
    put(store_, prefix + "/" + life_key(environment_.rank),
        beat_to_text(make_beat({}, host_name(), 0, 0)));
    put(store_, confirm_key(prefix, environment_.rank), std::to_string(environment_.world_size));
  }

  std::string be_received() {
    const std::string key = answer_key(environment_.rank, name_);
    std::optional<std::int64_t> beat_of_rank_0;
    while (!comes_soon(key)) refuse_if_left_out(beat_of_rank_0);
    const std::string prefix = take(store_, key);
    confirm(prefix);
    store_.wait({go_key(prefix)}, time_left());
    return prefix;
  }

  bool comes_soon(const std::string& key) {
    constexpr std::chrono::milliseconds kBetweenBeats{1500};
    try {
      store_.wait({key}, std::min(time_left(), kBetweenBeats));
      return true;
    } catch (const c10::DistStoreError&) {
      if (Clock::now() >= deadline_) throw;
      return false;
    }
  }

  // Ranks that have met look out for nobody any more: where they live, one whose number is beyond
  // theirs comes in vain. `last_beat`: the number of rank 0's last beat as it was seen before.
  void refuse_if_left_out(std::optional<std::int64_t>& last_beat) {
    const auto hosts = find_current(store_, kGo);
    const auto beat = find_current(store_, life_key(0));
    if (!hosts || !beat) return;
    const std::int64_t number = beat_from_text(*beat).number;
    const auto size = static_cast<int>(Json::parse(*hosts).size());
    if (environment_.rank >= size && last_beat && number > *last_beat) require_same_size(size);
    last_beat = number;
  }

  std::string receive_all() {
    const std::string prefix = base_ + "/" + name_;
    put(store_, prefix + "/" + kVerdictKey, kNoVerdict);
    confirm(prefix);
    // One more than there should be: where WORLD_SIZE is larger elsewhere, there is such a rank.
    guests_.resize(static_cast<std::size_t>(environment_.world_size) + 1);
    guests_[0] = {name_, host_name(), environment_.world_size};
    constexpr std::chrono::milliseconds kFirstPause{2}, kLongestPause{50};
    std::optional<Clock::time_point> last_call;
    for (auto pause = kFirstPause; !look_around(prefix);
         pause = std::min(2 * pause, kLongestPause)) {
      const Clock::time_point now = Clock::now();
      // Those who are about to come shall hear it too.
      if (!last_call && sizes().size() > 1) last_call = now + std::chrono::seconds(3);
      if (last_call && now > *last_call) break;
      if (now > deadline_) fail_absent();
      std::this_thread::sleep_for(pause);
    }
    if (const RanksOfSize found = sizes(); found.size() > 1) refuse(prefix, different_sizes(found));
    OrderedJson hosts = OrderedJson::array();
    for (int rank = 0; rank < environment_.world_size; ++rank)
      hosts.push_back(guests_[static_cast<std::size_t>(rank)].host);
    put(store_, go_key(prefix), hosts.dump());
    return prefix;
  }

  // True when everybody has confirmed.
  bool look_around(const std::string& prefix) {
    bool all = true;
    for (int rank = 1; rank <= environment_.world_size; ++rank) {
      Guest& guest = guests_[static_cast<std::size_t>(rank)];
      if (guest.confirmed()) continue;
      if (store_.check({hello_key(rank)})) answer(rank, guest, prefix);
      if (!guest.name.empty() && store_.check({confirm_key(prefix, rank)}))
        guest.world_size = std::stoi(take(store_, confirm_key(prefix, rank)));
      all = all && (guest.confirmed() || rank == environment_.world_size);
    }
    return all;
  }

  struct Guest {
    std::string name, host;
    int world_size = 0;  // as it says when it confirms
    bool confirmed() const { return world_size > 0; }
  };

  // Of those who have confirmed.
  RanksOfSize sizes() const {
    RanksOfSize out;
    for (std::size_t rank = 0; rank < guests_.size(); ++rank) {
      if (guests_[rank].confirmed())
        out[guests_[rank].world_size].push_back(static_cast<int>(rank));
    }
    return out;
  }

  // Ends when all who have come know: the store may end with this process.
  [[noreturn]] void refuse(const std::string& prefix, const std::string& why) {
    put(store_, go_key(prefix), OrderedJson(why).dump());
    std::vector<std::string> heard;
    for (std::size_t rank = 1; rank < guests_.size(); ++rank) {
      if (guests_[rank].confirmed()) heard.push_back(heard_key(prefix, static_cast<int>(rank)));
    }
    try {
      store_.wait(heard, std::chrono::seconds(5));
    } catch (const c10::Error&) {  // somebody has died since
    }
    throw ConfigError(why);
  }

  void answer(int rank, Guest& guest, const std::string& prefix) {
    const std::string hello = take(store_, hello_key(rank));
    const std::size_t space = hello.find(' ');
    const std::string name = hello.substr(0, space);
    if (name == guest.name) return;
    guest.name = name;
    guest.host = hello.substr(space + 1);
    put(store_, answer_key(rank, name), prefix);
  }

  bool is_absent(int rank) {
    if (!guests_.empty()) return !guests_[static_cast<std::size_t>(rank)].confirmed();
    return !store_.check({hello_key(rank)});
  }

  [[noreturn]] void fail_absent() {
    std::vector<int> absent;
    for (int rank = 0; rank < environment_.world_size; ++rank) {
      if (is_absent(rank)) absent.push_back(rank);
    }
    // All have said hello once, but rank 0, or somebody for whom it waits, is gone since.
    if (absent.empty()) absent.push_back(0);
    throw RuntimeFailure(
        rank_set_name(absent), " of ", environment_.world_size, " did not join within ",
        static_cast<double>(timeout_.count()) / 1000, " s (--join-timeout)",
        environment_.launcher == "slurm" ? " (are the ranks started by srun?)" : "");
  }

  c10d::Store& store_;
  const LaunchEnvironment& environment_;
  const std::string base_;
  const std::chrono::milliseconds timeout_;
  const Clock::time_point deadline_;
  const std::string name_;
  std::vector<Guest> guests_;  // of rank 0
};

}  // namespace

HostedStore host_store(int port, std::chrono::milliseconds timeout) {
  try {
    auto store =
        c10::make_intrusive<c10d::TCPStore>("127.0.0.1", store_options(port, true, timeout));
    const int actual = store->getPort();
    return {std::move(store), actual};
  } catch (const std::exception& error) {
    if (short_reason(error).find("EACCES") != std::string::npos) {
      throw ConfigError("[launch] port ", port,
                        " is not for everybody: choose one above 1023 (MASTER_PORT)");
    }
    if (short_reason(error).find("in use") == std::string::npos) {
      throw ConfigError("[launch] cannot serve the store on port ", port, ": ",
                        short_reason(error));
    }
    throw ConfigError("[launch] port ", port,
                      " is in use on this machine: choose another one (MASTER_PORT)");
  }
}

Meeting join_store(const LaunchEnvironment& environment, std::chrono::milliseconds timeout) {
  const bool serves = environment.rank == 0 && !environment.store_is_hosted;
  if (serves && environment.world_size > 1) require_resolvable(environment.master_addr, timeout);
  auto root = serves ? host_store(environment.master_port, timeout).store
                     : find_store(environment, timeout);
  Meeting out = Reception(*root, environment, prefix(environment), timeout).meet();
  out.is_served_here = serves;
  if (environment.rank == 0) put(*root, kCurrentMeetingKey, out.prefix);
  out.store = c10::make_intrusive<c10d::PrefixStore>(out.prefix, root);
  return out;
}

c10::intrusive_ptr<c10d::Store> connect_again(const LaunchEnvironment& environment,
                                              const Meeting& meeting) {
  return c10::make_intrusive<c10d::PrefixStore>(meeting.prefix, open_store(environment));
}

std::optional<Beat> find_beat(c10d::Store& store, int rank) {
  const std::optional<std::string> text = find_current(store, life_key(rank));
  return text ? std::optional(beat_from_text(*text)) : std::nullopt;
}

std::string find_verdict(c10d::Store& store) {
  const std::string verdict = find_current(store, kVerdictKey).value_or(kNoVerdict);
  return verdict == kNoVerdict ? "" : verdict;
}

std::string share_text(const LaunchEnvironment& environment, const std::string& key,
                       const std::string& text, std::chrono::milliseconds patience) {
  if (environment.world_size == 1) return text;
  GALV_CHECK(environment.store_is_hosted, "nobody serves a store before the ranks connect");
  const auto root = find_store(environment, patience);
  const std::string base = prefix(environment) + "/shared/" + key;
  const std::string said = Reception(*root, environment, base, patience).meet().prefix + "/said";
  try {
    if (environment.rank == 0) put(*root, said, text);
    return take(*root, said);
  } catch (const std::exception& error) {
    throw RuntimeFailure("rank ", environment.rank, " heard nothing of rank 0 on '", key,
                         "' within ", patience.count(), " ms (", short_reason(error), ")");
  }
}

}  // namespace galvatron::comm
