#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

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

// "24GB" in the place of a device: what its box says, where 1 GB is 1 GiB. nullopt: it is no size.
std::optional<double> gigabytes_in(const std::string& text) {
  double out = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), out);
  const std::string unit = lower_case(std::string(parsed.ptr, text.data() + text.size()));
  if (parsed.ec != std::errc() || !(out > 0)) return std::nullopt;
  if (unit != "g" && unit != "gb" && unit != "gib") return std::nullopt;
  return out;
}

double own_gigabytes(const Device& device) {
  return static_cast<double>(device.node.spec.device_memory.value) /
         static_cast<double>(gibibytes(1).value);
}

// A framework can allocate somewhat less than the box says: of a T4's 16 GB 14 GiB.
bool has_on_its_box(const Device& device, double gigabytes) {
  constexpr double kLeastShare = 0.87;
  const double own = own_gigabytes(device);
  return own <= gigabytes && own >= kLeastShare * gigabytes;
}

// The one named device that has so much. `where`: the spec before it, "8x".
Device device_with(double gigabytes, const std::string& size, const std::string& where) {
  const std::vector<Device> all = named_devices();
  std::vector<Device> fitting;
  std::vector<std::string> names;
  for (const Device& device : all) {
    if (!has_on_its_box(device, gigabytes)) continue;
    names.push_back(device.name);
    fitting.push_back(device);
  }
  if (fitting.size() == 1) return fitting.front();
  const std::string says = "[cluster] '" + where + size + "' says what a device has, ";
  if (fitting.empty()) {
    const auto distance = [&](const Device& one) {
      return std::abs(own_gigabytes(one) - gigabytes);
    };
    const auto nearest = std::min_element(
        all.begin(), all.end(),
        [&](const Device& one, const Device& other) { return distance(one) < distance(other); });
    throw ConfigError(says, "and none that is named has so much: write one that computes like ",
                      "yours, such as ", where, nearest->name, ", with --device-memory ", size,
                      " (`galvatron clusters` lists all; a cluster file describes any other)");
  }
  throw ConfigError(says, "not which it is: ", fmt::format("{}", fmt::join(names, ", ")),
                    " have so much; write one of them, such as ", where, names.front(),
                    ", or for any other one that computes like it, with --device-memory ", size);
}

}  // namespace

Cluster cluster_from_spec(const std::string& text) {
  const std::size_t colon = text.find(':');
  std::string rest = text.substr(0, colon);
  const std::optional<int> first = take_count(rest, text);
  const int in_node = first ? take_count(rest, text).value_or(0) : 0;  // 0: there is one count
  if (rest.empty() || colon == text.size() - 1) fail_spec(text);
  const std::optional<double> size = gigabytes_in(rest);
  if (!first && !size && !knows_device(rest)) fail_spec(text);  // another kind of name may be meant
  const std::string where = text.substr(0, std::min(colon, text.size()) - rest.size());
  const Device device = size ? device_with(*size, rest, where) : find_device(rest);
  Cluster out = device.node;
  if (size) out.given.push_back(rest + " a device, as only " + device.name + " has");
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
