#include <cstdlib>

#include <gtest/gtest.h>

int main(int argc, char** argv) {
  // Gloo ranks as threads race in the flight recorder's map; it must be off before torch reads it.
  setenv("TORCH_FR_BUFFER_SIZE", "0", 0);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
