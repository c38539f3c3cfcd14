// Loops over rows that the compiler turns into vector instructions, for every machine and for those
// with wider ones; which is chosen when they run.
#pragma once
#include <string>

#include <ATen/Version.h>

namespace galvatron::nn {

enum class Vectors { kAny, kAvx2, kAvx512 };

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define GALVATRON_AVX2 __attribute__((optimize("O3"), target("avx2,fma")))
#define GALVATRON_AVX512         \
  __attribute__((optimize("O3"), \
                 target("avx512f,avx512dq,avx512bw,avx512vl,prefer-vector-width=512")))
#define GALVATRON_ANY_VECTORS __attribute__((optimize("O3")))

// What torch's own kernels take, ATEN_CPU_CAPABILITY included.
inline Vectors vectors_of_machine() {
  static const Vectors found = [] {
    const std::string capability = at::get_cpu_capability();
    if (capability == "AVX512") return Vectors::kAvx512;
    return capability == "AVX2" ? Vectors::kAvx2 : Vectors::kAny;
  }();
  return found;
}
#else
#define GALVATRON_AVX2
#define GALVATRON_AVX512
#define GALVATRON_ANY_VECTORS
inline Vectors vectors_of_machine() { return Vectors::kAny; }
#endif

// Of what is to become vectors: it is compiled into the functions below.
#define GALVATRON_INTO_VECTORS __attribute__((always_inline)) inline

template <typename Loop, typename... Args>
GALVATRON_ANY_VECTORS void run_any(Args... args) {
  Loop::run(args...);
}
template <typename Loop, typename... Args>
GALVATRON_AVX2 void run_avx2(Args... args) {
  Loop::run(args...);
}
template <typename Loop, typename... Args>
GALVATRON_AVX512 void run_avx512(Args... args) {
  Loop::run(args...);
}

// Loop::run(args...), which is GALVATRON_INTO_VECTORS.
template <typename Loop, typename... Args>
void run_in_vectors(Args... args) {
  switch (vectors_of_machine()) {
    case Vectors::kAvx512:
      return run_avx512<Loop>(args...);
    case Vectors::kAvx2:
      return run_avx2<Loop>(args...);
    case Vectors::kAny:
      return run_any<Loop>(args...);
  }
}

}  // namespace galvatron::nn
