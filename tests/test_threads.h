// Threads that torch may use for an operator: one, as the models of the tests are too small to
// share out, unless the run under other kernels (tests/python/run_isa.py) asks for more.
#pragma once
#include <cstdlib>
#include <string>

#include <ATen/Parallel.h>

namespace galvatron {

inline int test_threads() {
  const char* asked = std::getenv("GALVATRON_TEST_THREADS");
  return asked == nullptr ? 1 : std::stoi(asked);
}

// Of the calling thread: each rank thread calls it.
inline void use_test_threads() { at::set_num_threads(test_threads()); }

}  // namespace galvatron
