// What the readers of Galvatron-2's profile files share: keys, numbers, fits.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "galvatron/base/error.h"
#include "galvatron/base/json.h"
#include "galvatron/galvatron2/profiles.h"

namespace galvatron::galvatron2 {

constexpr int kLargestDegree = 1 << 20;
constexpr std::size_t kPointsOfABatchFit = 8;

[[noreturn]] inline void fail_profile(const std::string& file, const std::string& problem) {
  throw ConfigError("[galvatron2 profile] ", file, ": ", problem);
}

// A finite number from `least` on; ConfigError names file and key.
double positive(const Json& value, const std::string& file, const std::string& key,
                double least = 1e-12);

// `key` is before + integer + after.
bool read_key(const std::string& key, const std::string& before, const std::string& after,
              int& number);
// `key` is before + integer + middle + integer + after.
bool read_key(const std::string& key, const std::string& before, const std::string& middle,
              const std::string& after, int& first, int& second);

struct FitPoint {
  double x = 0, y = 0;
};
// Least squares of a polynomial of `degree`, lowest coefficient first. REQUIRES: more different x
// than `degree`.
std::vector<double> fit_polynomial(const std::vector<FitPoint>& points, int degree);

// A JSON object, or nullopt where there is no such file.
std::optional<Json> read_if_there(const std::filesystem::path& path);
Json read_required(const std::filesystem::path& path);

// Numbers under the keys before + degree + after.
Table read_degrees(const Json& json, const std::string& file, const std::string& before,
                   const std::string& after);

// The model whose files are read: the query's, else the only one among the file names.
std::string model_name(const ProfileQuery& query, const std::vector<std::string>& names);
void read_computation(const ProfileQuery& query, Profiles& out);
void read_memory(const ProfileQuery& query, Profiles& out);

}  // namespace galvatron::galvatron2
