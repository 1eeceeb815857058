include_guard()
# dashf_blas: BLAS for libtorch, and for the engine where it has no oneDNN. Debian picks a BLAS by alternatives: the reference
# one is 15 times slower, and OpenBLAS on pthreads fights with OpenMP threads. Programs therefore
# name the OpenMP build themselves, which needs no header: BLAS's Fortran interface never changes.
find_package(OpenMP REQUIRED COMPONENTS CXX)
add_library(dashf_blas INTERFACE)
target_link_libraries(dashf_blas INTERFACE ${OpenMP_CXX_LIBRARIES})
set(openblas_openmp /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp)
if(EXISTS ${CMAKE_SYSROOT}${openblas_openmp}/libopenblas.so.0)
  # DT_RPATH (no new dtags): DT_RUNPATH is not used for what a library needs in its turn.
  target_link_libraries(dashf_blas INTERFACE ${CMAKE_SYSROOT}${openblas_openmp}/libopenblas.so.0)
  target_link_options(dashf_blas INTERFACE
    "LINKER:--disable-new-dtags,-rpath,${openblas_openmp}")
else()
  message(WARNING "no libopenblas0-openmp: the engine will run on whatever BLAS there is")
  find_package(BLAS REQUIRED)
  target_link_libraries(dashf_blas INTERFACE BLAS::BLAS)
endif()
