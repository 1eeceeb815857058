# dashf_torch: libtorch as pre-training and the checks of the engine's gradients link it.
include(${CMAKE_CURRENT_LIST_DIR}/blas.cmake)
find_package(Torch REQUIRED)
add_library(dashf_torch INTERFACE)
target_include_directories(dashf_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(dashf_torch INTERFACE ${TORCH_LIBRARIES})
# Its matrix products come from the BLAS that dashf_blas names.
target_link_libraries(dashf_torch INTERFACE dashf_blas)
