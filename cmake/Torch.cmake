# The torch wheel as imported targets. We do not use its own TorchConfig.cmake: that one wants a CUDA toolkit.
#   galvatron::torch       headers, libtorch_cpu, libc10 (a process that only uses these starts in 0.2 s with 120 MB)
#   galvatron::torch_cuda  adds libtorch_cuda, libc10_cuda and NCCL; only the CUDA plugin links it
if(NOT Python3_EXECUTABLE AND EXISTS ${CMAKE_SOURCE_DIR}/.venv/bin/python)
  set(Python3_EXECUTABLE ${CMAKE_SOURCE_DIR}/.venv/bin/python)
endif()
find_package(Python3 REQUIRED COMPONENTS Interpreter)
execute_process(
  COMMAND ${Python3_EXECUTABLE} -c
          "import importlib.util as u, importlib.metadata as m; print(u.find_spec('torch').submodule_search_locations[0] + ';' + m.version('torch'))"
  OUTPUT_VARIABLE galvatron_torch_info OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE galvatron_torch_missing
  ERROR_QUIET)
if(galvatron_torch_missing)
  message(FATAL_ERROR "torch is not installed for ${Python3_EXECUTABLE}: run `make setup`, "
                      "or configure with -DGALVATRON_TORCH=OFF (the `planner` preset) to build the planning half alone.")
endif()
list(GET galvatron_torch_info 0 GALVATRON_TORCH_DIR)
list(GET galvatron_torch_info 1 GALVATRON_TORCH_VERSION)
message(STATUS "torch ${GALVATRON_TORCH_VERSION}")

get_filename_component(galvatron_site_packages ${GALVATRON_TORCH_DIR} DIRECTORY)
file(GLOB galvatron_nvidia_lib_dirs ${galvatron_site_packages}/nvidia/*/lib)
file(GLOB galvatron_nvidia_include_dirs ${galvatron_site_packages}/nvidia/*/include)

add_library(galvatron_torch INTERFACE)
add_library(galvatron::torch ALIAS galvatron_torch)
target_include_directories(galvatron_torch SYSTEM INTERFACE
  ${CMAKE_SOURCE_DIR}/cmake/gloo_headers
  ${GALVATRON_TORCH_DIR}/include
  ${GALVATRON_TORCH_DIR}/include/torch/csrc/api/include)
# The wheel carries fmt headers of its own, found before the installed ones but without their library: header-only there.
target_compile_definitions(galvatron_torch INTERFACE _GLIBCXX_USE_CXX11_ABI=1 USE_C10D_GLOO FMT_HEADER_ONLY=1)
target_link_libraries(galvatron_torch INTERFACE
  ${GALVATRON_TORCH_DIR}/lib/libtorch_cpu.so ${GALVATRON_TORCH_DIR}/lib/libc10.so Threads::Threads)
target_link_options(galvatron_torch INTERFACE -Wl,--allow-shlib-undefined)
if(NOT SKBUILD)  # a wheel's files look for torch beside themselves: PythonPackage.cmake
  target_link_options(galvatron_torch INTERFACE -Wl,-rpath,${GALVATRON_TORCH_DIR}/lib)
endif()

# CUDA: headers and NCCL come as wheels beside torch. A CPU-only wheel has neither; then the plugin is left out.
set(GALVATRON_CUDA OFF)
find_path(GALVATRON_NCCL_INCLUDE nccl.h PATHS ${galvatron_nvidia_include_dirs} NO_DEFAULT_PATH)
find_path(GALVATRON_CUDA_INCLUDE cuda_runtime_api.h PATHS ${galvatron_nvidia_include_dirs} /usr/local/cuda/include)
# The CUDA headers include these two from wheels of their own: nvidia-cuda-crt and nvidia-cuda-cccl.
find_path(GALVATRON_CUDA_CRT_INCLUDE crt/host_defines.h PATHS ${galvatron_nvidia_include_dirs} /usr/local/cuda/include)
find_path(GALVATRON_CUDA_CCCL_INCLUDE nv/target
          PATHS ${galvatron_nvidia_include_dirs} /usr/local/cuda/include PATH_SUFFIXES cccl)
if(EXISTS ${GALVATRON_TORCH_DIR}/lib/libtorch_cuda.so AND GALVATRON_NCCL_INCLUDE AND GALVATRON_CUDA_INCLUDE
   AND GALVATRON_CUDA_CRT_INCLUDE AND GALVATRON_CUDA_CCCL_INCLUDE)
  set(GALVATRON_CUDA ON)
  find_library(GALVATRON_NCCL_LIB NAMES libnccl.so.2 PATHS ${galvatron_nvidia_lib_dirs} NO_DEFAULT_PATH)
  add_library(galvatron_torch_cuda INTERFACE)
  add_library(galvatron::torch_cuda ALIAS galvatron_torch_cuda)
  target_include_directories(galvatron_torch_cuda SYSTEM INTERFACE
    ${GALVATRON_NCCL_INCLUDE} ${GALVATRON_CUDA_INCLUDE} ${GALVATRON_CUDA_CRT_INCLUDE} ${GALVATRON_CUDA_CCCL_INCLUDE})
  target_compile_definitions(galvatron_torch_cuda INTERFACE USE_C10D_NCCL)
  target_link_libraries(galvatron_torch_cuda INTERFACE galvatron_torch
    ${GALVATRON_TORCH_DIR}/lib/libtorch_cuda.so ${GALVATRON_TORCH_DIR}/lib/libc10_cuda.so ${GALVATRON_NCCL_LIB})
endif()
message(STATUS "CUDA and NCCL plugin: ${GALVATRON_CUDA}")

# One precompiled header for everything that includes torch; rooms reuse it.
set(torch_headers ${CMAKE_SOURCE_DIR}/src/galvatron/comm/torch_headers.h)
file(SHA256 ${torch_headers} torch_headers_hash)
set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${torch_headers})
galvatron_precompiled(galvatron_torch_pch HEADERS <galvatron/comm/torch_headers.h> LINK galvatron_torch
                      VERSION torch ${GALVATRON_TORCH_VERSION} ${torch_headers_hash})
