// Where a training loop spends its processor time.
#pragma once
#include <ctime>
#include <map>
#include <string>

#include <fmt/format.h>

namespace galvatron::bench {

// Processor time of a loop's parts, summed over its steps.
class Phases {
 public:
  template <typename Work>
  auto time(const char* name, const Work& work) {
    const Clock clock(seconds_[name]);
    return work();
  }
  // "update 31 ms, forward and backward 1200 ms": per step.
  std::string text(int steps) const {
    std::string out;
    for (const auto& [name, seconds] : seconds_) {
      out += fmt::format("{}{} {:.1f} ms", out.empty() ? "" : ", ", name, 1e3 * seconds / steps);
    }
    return out;
  }

 private:
  struct Clock {
    explicit Clock(double& sum) : sum(sum) {}
    ~Clock() { sum += static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC; }
    double& sum;
    std::clock_t start = std::clock();
  };
  std::map<std::string, double> seconds_;
};

}  // namespace galvatron::bench
