# dashf_torch: libtorch as the engine links it. Included only where the engine is built.
find_package(Torch REQUIRED)
add_library(dashf_torch INTERFACE)
target_include_directories(dashf_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(dashf_torch INTERFACE ${TORCH_LIBRARIES})

# Debian picks a BLAS by alternatives: the reference one is 15 times slower, and OpenBLAS on pthreads
# fights with libtorch's OpenMP threads. Programs therefore name the OpenMP build themselves. It has
# to be DT_RPATH (no new dtags): DT_RUNPATH is not used for what a library needs in its turn.
file(GLOB openblas_openmp /usr/lib/*/openblas-openmp)
if(openblas_openmp)
  target_link_options(dashf_torch INTERFACE
    "LINKER:--disable-new-dtags,-rpath,${openblas_openmp}")
else()
  message(WARNING "no libopenblas0-openmp: the engine will run on whatever BLAS libtorch finds")
endif()
