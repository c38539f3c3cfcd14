#include "galvatron/profiles/device.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "galvatron/base/error.h"

namespace galvatron::profiles {
namespace {

namespace fs = std::filesystem;

fs::path devices_folder() { return spec::configs_directory() / "devices"; }

Device read_device_file(const fs::path& path) {
  return device_from_json(read_json_file(path), path.string());
}

bool is_called(const Device& device, const std::string& plain) {
  return plain_name(device.name) == plain ||
         std::any_of(device.aliases.begin(), device.aliases.end(),
                     [&](const std::string& alias) { return plain_name(alias) == plain; });
}

std::optional<Device> look_up_device(const std::string& name) {
  const fs::path file = devices_folder() / (name + ".json");
  if (name.find('/') == std::string::npos && fs::exists(file)) return read_device_file(file);
  for (Device& device : named_devices()) {
    if (is_called(device, plain_name(name))) return std::move(device);
  }
  return std::nullopt;
}

// "a100" names "nvidiaa100sxm440gb", but neither "rtxa1000" nor a CPU.
bool names_it(const std::string& reported, const std::string& known) {
  const std::size_t at = reported.find(known);
  if (at == std::string::npos || reported.starts_with("cpu")) return false;
  const std::size_t behind = at + known.size();
  return behind == reported.size() || !std::isdigit(static_cast<unsigned char>(reported[behind]));
}

}  // namespace

std::optional<Device> find_reported_device(const std::string& reported) {
  const std::string plain = plain_name(reported);
  std::optional<Device> found;
  std::size_t longest = 0;  // "H100 PCIe" is more than "H100"
  for (Device& device : named_devices()) {
    std::vector<std::string> names = device.aliases;
    names.push_back(device.name);
    for (const std::string& name : names) {
      const std::string known = plain_name(name);
      if (known.size() <= longest || !names_it(plain, known)) continue;
      longest = known.size();
      found = device;
    }
  }
  return found;
}

bool may_be_same_device(const std::string& a, const std::string& b) {
  if (a == b) return true;
  if (a.starts_with("cpu") && b.starts_with("cpu")) return a == "cpu" || b == "cpu";
  const auto one = find_reported_device(a), other = find_reported_device(b);
  return one && other && one->name == other->name;
}

double peak_flops(const std::string& reported, spec::Precision precision) {
  const std::optional<Device> device = find_reported_device(reported);
  if (!device) return 0;
  const auto it = device->node.dense_tflops.find(spec::to_text(precision));
  return it == device->node.dense_tflops.end() ? 0 : it->second * 1e12;
}

std::vector<std::string> device_names() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(devices_folder(), error)) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<Device> named_devices() {
  std::vector<Device> devices;
  for (const std::string& name : device_names()) {
    devices.push_back(read_device_file(devices_folder() / (name + ".json")));
  }
  return devices;
}

bool knows_device(const std::string& name) { return look_up_device(name).has_value(); }

Device find_device(const std::string& name) {
  if (std::optional<Device> device = look_up_device(name)) return *std::move(device);
  std::vector<std::string> names;
  for (const Device& device : named_devices()) {
    names.push_back(device.name);
    names.insert(names.end(), device.aliases.begin(), device.aliases.end());
  }
  throw ConfigError("[cluster] the device '", name, "' is not known; the nearest are ",
                    fmt::format("{}", fmt::join(nearest_names(name, names, 3), ", ")),
                    " (`galvatron clusters` lists all; a cluster file describes any other)");
}

}  // namespace galvatron::profiles
