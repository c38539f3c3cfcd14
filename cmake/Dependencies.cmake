# Every outside library but torch: the installed package where there is one, else its pinned release.
# Why each is here: docs/design/dependencies.md.
include(FetchContent)
find_package(Threads REQUIRED)

FetchContent_Declare(fmt GIT_REPOSITORY https://github.com/fmtlib/fmt GIT_TAG 9.1.0
                     FIND_PACKAGE_ARGS 9 NAMES fmt)
FetchContent_Declare(nlohmann_json GIT_REPOSITORY https://github.com/nlohmann/json GIT_TAG v3.11.2
                     FIND_PACKAGE_ARGS 3.10 NAMES nlohmann_json)
FetchContent_Declare(CLI11 GIT_REPOSITORY https://github.com/CLIUtils/CLI11 GIT_TAG v2.1.2
                     FIND_PACKAGE_ARGS 2.1 NAMES CLI11)
FetchContent_MakeAvailable(fmt nlohmann_json CLI11)

# A header that needs no build of its own; Debian's package has no CMake files.
find_path(GALVATRON_XXHASH xxhash.h)
if(NOT GALVATRON_XXHASH)
  FetchContent_Declare(xxhash GIT_REPOSITORY https://github.com/Cyan4973/xxHash GIT_TAG v0.8.1 SOURCE_SUBDIR doc)
  FetchContent_MakeAvailable(xxhash)
  set(GALVATRON_XXHASH ${xxhash_SOURCE_DIR})
endif()
add_library(galvatron_xxhash INTERFACE)
target_include_directories(galvatron_xxhash SYSTEM INTERFACE ${GALVATRON_XXHASH})
target_compile_definitions(galvatron_xxhash INTERFACE XXH_INLINE_ALL)

# Headers too: Asio and Beast need nothing of Boost that is compiled.
find_package(Boost 1.74 QUIET)
if(NOT Boost_FOUND)
  FetchContent_Declare(boost URL https://archives.boost.io/release/1.83.0/source/boost_1_83_0.tar.bz2
                       URL_HASH SHA256=6478edfe2f3305127cffe8caf73ea0176c53769f4bf1585be237eb30798c3b8e
                       DOWNLOAD_EXTRACT_TIMESTAMP OFF SOURCE_SUBDIR doc)
  FetchContent_MakeAvailable(boost)
  set(Boost_INCLUDE_DIRS ${boost_SOURCE_DIR})
endif()
add_library(galvatron_beast INTERFACE)
target_include_directories(galvatron_beast SYSTEM INTERFACE ${Boost_INCLUDE_DIRS})
target_link_libraries(galvatron_beast INTERFACE Threads::Threads)

# Cores and NUMA nodes, for --pin of the training half; without it the option says so. Debian: libhwloc-dev.
if(GALVATRON_TORCH)
  find_path(GALVATRON_HWLOC_INCLUDE hwloc.h)
  find_library(GALVATRON_HWLOC_LIB hwloc)
endif()

if(GALVATRON_TESTS)
  FetchContent_Declare(googletest GIT_REPOSITORY https://github.com/google/googletest GIT_TAG release-1.12.1
                       FIND_PACKAGE_ARGS NAMES GTest)
  FetchContent_MakeAvailable(googletest)
endif()
