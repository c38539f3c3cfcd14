#include <charconv>
#include <numeric>
#include <optional>

#include <fmt/format.h>

#include "galvatron/base/error.h"
#include "galvatron/profiles/device.h"

namespace galvatron::profiles {
namespace {

constexpr int kMostCount = 1 << 20;

std::vector<std::string> known_names() {
  std::vector<std::string> names = cluster_names();
  for (const std::string& device : device_names()) names.push_back(device);
  return names;
}

[[noreturn]] void fail_spec(const std::string& text) {
  throw ConfigError("[cluster] '", text,
                    "' is neither a named cluster, nor a file, nor NODESxDEVICESxDEVICE:NETWORK "
                    "such as 2x8xA100-40G:25GB/s, 8xH100 or A100",
                    did_you_mean(text, known_names()));
}

// Takes "8x" from the front; nullopt: there is no count.
std::optional<int> take_count(std::string& rest, const std::string& text) {
  const std::size_t digits = rest.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string::npos || rest[digits] != 'x') return std::nullopt;
  int count = 0;
  const auto parsed = std::from_chars(rest.data(), rest.data() + digits, count);
  if (parsed.ec != std::errc() || count < 1 || count > kMostCount) fail_spec(text);
  rest.erase(0, digits + 1);
  return count;
}

int largest_part(int count, int most) {
  for (int part = most; part > 1; --part) {
    if (count % part == 0) return part;
  }
  return 1;
}

// Of `count` devices, whose nodes have as many as is usual.
void place(spec::ClusterSpec& spec, int count, const std::string& device) {
  const int usual = spec.devices_per_node;
  if (count > usual && count % usual != 0) {
    const int part = largest_part(count, usual);
    throw ConfigError("[cluster] ", count, " x ", device, " are no whole number of nodes of ",
                      usual, "; say both, such as ", count / part, "x", part, "x", device);
  }
  spec.num_nodes = std::max(1, count / usual);
  spec.devices_per_node = std::min(count, usual);
}

}  // namespace

Cluster cluster_from_spec(const std::string& text) {
  const std::size_t colon = text.find(':');
  std::string rest = text.substr(0, colon);
  const std::optional<int> first = take_count(rest, text);
  const int in_node = first ? take_count(rest, text).value_or(0) : 0;  // 0: there is one count
  if (rest.empty() || colon == text.size() - 1) fail_spec(text);
  if (!first && !knows_device(rest)) fail_spec(text);  // another kind of name may be meant
  Cluster out = find_device(rest).node;
  if (in_node > 0) {
    if (std::int64_t{*first} * in_node > kMostCount) fail_spec(text);
    out.spec.num_nodes = *first;
    out.spec.devices_per_node = in_node;
  } else {
    place(out.spec, first.value_or(1), rest);
  }
  out.spec.name = text;
  if (colon != std::string::npos) {
    const Bandwidth network = parse_bandwidth(text.substr(colon + 1), "cluster " + text);
    out.set_node_bandwidth(network);
    out.given.push_back("network of " + exact_text(network) + " a node");
  }
  return out;
}

}  // namespace galvatron::profiles
