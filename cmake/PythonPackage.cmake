# What a wheel holds beside python/galvatron: the module, the binary, the libraries that it opens and the presets, all inside
# the package's folder. Each finds torch's libraries from its own place, so no path of the machine that built it is left in it.
#   galvatron/_core*.so   galvatron/bin/galvatron   galvatron/lib/libgalvatron_{training,nccl}.so   galvatron/configs
include_guard()

function(galvatron_package target destination torch_from_there)
  set_target_properties(${target} PROPERTIES
    INSTALL_RPATH "$ORIGIN/${torch_from_there}/torch/lib:$ORIGIN/${torch_from_there}/nvidia/nccl/lib")
  if(SKBUILD)
    set_target_properties(${target} PROPERTIES BUILD_WITH_INSTALL_RPATH ON)
  endif()
  install(TARGETS ${target} RUNTIME DESTINATION ${destination} COMPONENT python LIBRARY DESTINATION ${destination} COMPONENT python)
endfunction()

galvatron_package(galvatron galvatron/bin ../..)
if(TARGET galvatron_python)
  galvatron_package(galvatron_python galvatron ..)
endif()
if(TARGET galvatron_training)
  galvatron_package(galvatron_training galvatron/lib ../..)
endif()
if(TARGET galvatron_nccl)
  galvatron_package(galvatron_nccl galvatron/lib ../..)
endif()
install(DIRECTORY ${CMAKE_SOURCE_DIR}/configs DESTINATION galvatron COMPONENT python)
