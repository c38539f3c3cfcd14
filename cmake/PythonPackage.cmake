# What a wheel holds beside python/galvatron, all inside the package's folder:
#   galvatron/bin/galvatron   galvatron/_planner*.so   galvatron/configs                 the planning half
#   galvatron/lib/libgalvatron_{training,nccl}.so   galvatron/_core*.so                  the training half
# The training half finds torch's libraries from its own place, so no path of the machine that built it is left in it. The
# planning half knows of no torch (docs/design/packages.md).
include_guard()

function(galvatron_package target destination)
  if(SKBUILD)
    set_target_properties(${target} PROPERTIES BUILD_WITH_INSTALL_RPATH ON)
  endif()
  install(TARGETS ${target} RUNTIME DESTINATION ${destination} COMPONENT python LIBRARY DESTINATION ${destination} COMPONENT python)
endfunction()

function(galvatron_package_on_torch target destination torch_from_there)
  set_target_properties(${target} PROPERTIES
    INSTALL_RPATH "$ORIGIN/${torch_from_there}/torch/lib:$ORIGIN/${torch_from_there}/nvidia/nccl/lib")
  galvatron_package(${target} ${destination})
endfunction()

galvatron_package(galvatron galvatron/bin)
if(TARGET galvatron_planner_module)
  galvatron_package(galvatron_planner_module galvatron)
endif()
if(TARGET galvatron_core_module)
  galvatron_package_on_torch(galvatron_core_module galvatron ..)
endif()
if(TARGET galvatron_training)
  galvatron_package_on_torch(galvatron_training galvatron/lib ../..)
endif()
if(TARGET galvatron_nccl)
  galvatron_package_on_torch(galvatron_nccl galvatron/lib ../..)
endif()
install(DIRECTORY ${CMAKE_SOURCE_DIR}/configs DESTINATION galvatron COMPONENT python)
