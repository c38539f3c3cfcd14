# Headers that many files include, parsed once.
#   galvatron_precompiled(NAME HEADERS <header>... LINK library... VERSION word...)
#   galvatron_use_precompiled(TARGET NAME)   the target must link what NAME links
# VERSION: whatever the headers depend on. ccache takes it for what they hold: a precompiled header's own bytes differ from
# one build folder to the next.
function(galvatron_precompiled name)
  cmake_parse_arguments(arg "" "" "HEADERS;LINK;VERSION" ${ARGN})
  file(WRITE ${CMAKE_BINARY_DIR}/pch/${name}.cpp "// Owner of a precompiled header.\n")
  add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/pch/${name}.cpp)
  target_link_libraries(${name} PUBLIC ${arg_LINK})
  target_precompile_headers(${name} PRIVATE ${arg_HEADERS})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/CMakeFiles/${name}.dir/cmake_pch.hxx.gch.sum
       CONTENT "${arg_HEADERS} ${arg_VERSION} ${CMAKE_CXX_COMPILER_VERSION} ${CMAKE_BUILD_TYPE} ${CMAKE_CXX_FLAGS}\n")
endfunction()

function(galvatron_use_precompiled target name)
  if(NOT CMAKE_DISABLE_PRECOMPILE_HEADERS)
    target_precompile_headers(${target} REUSE_FROM ${name})
  endif()
  get_target_property(type ${target} TYPE)
  if(type STREQUAL EXECUTABLE)
    # As the precompiled header was compiled: with -fpie it would be refused.
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIC)
  endif()
endfunction()

set(planning_headers <algorithm> <filesystem> <map> <optional> <string> <vector> <fmt/format.h> <nlohmann/json.hpp>)
set(planning_versions ${fmt_VERSION} ${nlohmann_json_VERSION})
galvatron_precompiled(galvatron_planning_pch HEADERS ${planning_headers}
                      LINK fmt::fmt nlohmann_json::nlohmann_json VERSION ${planning_versions})
if(GALVATRON_TESTS)
  galvatron_precompiled(galvatron_planning_test_pch HEADERS <gtest/gtest.h> ${planning_headers}
                        LINK fmt::fmt nlohmann_json::nlohmann_json GTest::gtest VERSION ${planning_versions} ${GTest_VERSION})
endif()
galvatron_precompiled(galvatron_cli_pch HEADERS <CLI/CLI.hpp> ${planning_headers}
                      LINK fmt::fmt nlohmann_json::nlohmann_json CLI11::CLI11
                      VERSION ${planning_versions} ${CLI11_VERSION})
