# Compile and link faster where the tools are there: ccache and mold. Nothing depends on them.
find_program(GALVATRON_CCACHE ccache)
if(GALVATRON_CCACHE)
  # A precompiled header is only cacheable when ccache may ignore its time stamps.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_PCH_EXTSUM=1 CCACHE_MAXSIZE=5G ${GALVATRON_CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  endif()
endif()

find_program(GALVATRON_MOLD mold)
if(GALVATRON_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12.1)
  add_link_options(-fuse-ld=mold)
endif()
