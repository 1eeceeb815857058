# dashf_products: the library of the engine's matrix products (src/llama/matrix.cc), and OpenMP.
find_package(OpenMP REQUIRED COMPONENTS CXX)
add_library(dashf_products INTERFACE)
target_link_libraries(dashf_products INTERFACE ${OpenMP_CXX_LIBRARIES})
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  # Not by its CMake package, which demands the headers of OpenCL.
  find_library(DASHF_DNNL dnnl REQUIRED)
  target_link_libraries(dashf_products INTERFACE ${DASHF_DNNL})
else()
  include(${CMAKE_CURRENT_LIST_DIR}/blas.cmake)
  target_link_libraries(dashf_products INTERFACE dashf_blas)
endif()
