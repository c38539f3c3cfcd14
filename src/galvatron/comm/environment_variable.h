// What launchers say in the environment. A value that cannot be read is refused by the variable's
// name.
#pragma once
#include <optional>
#include <string>

namespace galvatron::comm {

inline constexpr int kMaxRanks = 1'000'000;
inline constexpr int kMaxPort = 65535;

// nullopt: unset or empty.
std::optional<std::string> variable_text(const char* name);

// ConfigError for what is no whole number from `min` to `max`.
std::optional<int> variable_number(const char* name, int min, int max);

}  // namespace galvatron::comm
