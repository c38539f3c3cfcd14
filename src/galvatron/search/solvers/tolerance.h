// Numbers that the solvers share.
#pragma once
#include <limits>

namespace galvatron::search {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Sums of the same doubles in another order differ by less than this share.
inline constexpr double kRounding = 1e-12;

}  // namespace galvatron::search
