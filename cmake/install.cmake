# What `cmake --install` writes, and the Debian packages that `cpack` makes of it.
#   dashf         bin/dashf, the engine it becomes under libexec/, the shipped model, configurations
#   dashf-mpi, dashf-pretrain  what else it becomes, with the libraries that these alone need
#   libdashf-dev  headers, static libraries and the package that find_package(dashf) finds:
#                 dashf::planner (scenario to sweep) and, as a component, dashf::engine
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# bin/dashf looks for the others in ../libexec.
install(TARGETS dashf RUNTIME COMPONENT dashf)
foreach(program engine mpi pretrain)
  if(TARGET dashf-${program})
    set(component dashf-${program})
    if(program STREQUAL "engine")
      set(component dashf)
    else()
      list(APPEND packages ${component})
    endif()
    install(TARGETS dashf-${program} RUNTIME DESTINATION libexec COMPONENT ${component})
  endif()
endforeach()
install(DIRECTORY share/models share/grafana DESTINATION share/dashf COMPONENT dashf)
install(DIRECTORY configs DESTINATION share/dashf COMPONENT dashf FILES_MATCHING PATTERN "*.toml")
install(FILES examples/about_dashf.jsonl DESTINATION share/dashf/examples COMPONENT dashf)
# The pages, and what they link to.
install(FILES README.md CHANGELOG.md CONTRIBUTING.md DESTINATION share/doc/dashf COMPONENT dashf)
install(DIRECTORY docs DESTINATION share/doc/dashf COMPONENT dashf)
foreach(page configs/README.md bench/peers/train/README.md tests/consumer/plan.cc python/examples/sionna_gains.py
    python/notebooks/first_plan.ipynb python/notebooks/parquet_to_adapter.ipynb)
  get_filename_component(folder ${page} DIRECTORY)
  install(FILES ${page} DESTINATION share/doc/dashf/${folder} COMPONENT dashf)
endforeach()
# What a shell asks to complete a line, and manual pages of what --help says, where help2man is.
install(FILES completion/dashf.bash DESTINATION share/bash-completion/completions RENAME dashf COMPONENT dashf)
install(FILES completion/_dashf DESTINATION share/zsh/vendor-completions COMPONENT dashf)
install(FILES completion/dashf.fish DESTINATION share/fish/vendor_completions.d COMPONENT dashf)
find_program(DASHF_HELP2MAN help2man)
if(DASHF_HELP2MAN AND NOT CMAKE_CROSSCOMPILING)
  install(CODE "execute_process(COMMAND ${PROJECT_SOURCE_DIR}/tools/man_pages.sh $<TARGET_FILE:dashf>
    \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share/man/man1 COMMAND_ERROR_IS_FATAL ANY)" COMPONENT dashf)
endif()
list(APPEND packages dashf libdashf-dev)

# install_library(<name> <module>...): dashf::<name>, which links the modules.
function(install_library name)
  add_library(dashf_${name} INTERFACE)
  set_target_properties(dashf_${name} PROPERTIES EXPORT_NAME ${name})
  add_library(dashf::${name} ALIAS dashf_${name})
  set(targets dashf_${name})
  foreach(module ${ARGN})
    target_link_libraries(dashf_${name} INTERFACE dashf_${module})
    list(APPEND targets dashf_${module})
    install(DIRECTORY src/${module} DESTINATION include/dashf COMPONENT libdashf-dev
      FILES_MATCHING PATTERN "*.h" PATTERN "*testing.h" EXCLUDE)
  endforeach()
  install(TARGETS ${targets} EXPORT dashf-${name} ARCHIVE COMPONENT libdashf-dev)
  install(EXPORT dashf-${name} NAMESPACE dashf:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/dashf
    COMPONENT libdashf-dev)
endfunction()

install_library(planner base scenario plan problem certificate opt solvers sweep)
if(DASHF_TRAIN)
  # Their own modules alone: base belongs to the planner.
  install_library(engine tensorfile gguf jinja corpus llama train)
  install(TARGETS dashf_products EXPORT dashf-engine)
  get_target_property(products dashf_products INTERFACE_LINK_LIBRARIES)
  if(dashf_blas IN_LIST products)
    install(TARGETS dashf_blas EXPORT dashf-engine)
  endif()
endif()
configure_file(cmake/dashf-config.cmake.in dashf-config.cmake @ONLY)
write_basic_package_version_file(dashf-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/dashf-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/dashf-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/dashf COMPONENT libdashf-dev)

set(DASHF_MAINTAINER "dashf developers <dashf@example.org>" CACHE STRING "Who answers for the packages")
string(TIMESTAMP DASHF_BUILD_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)
configure_file(cmake/changelog.in changelog @ONLY)
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/changelog.gz
  COMMAND gzip -9nc changelog > changelog.gz
  DEPENDS ${CMAKE_BINARY_DIR}/changelog
  WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
add_custom_target(dashf_changelog ALL DEPENDS ${CMAKE_BINARY_DIR}/changelog.gz)
foreach(package ${packages})
  install(FILES LICENSE DESTINATION share/doc/${package} RENAME copyright COMPONENT ${package})
  install(FILES ${CMAKE_BINARY_DIR}/changelog.gz DESTINATION share/doc/${package}
    COMPONENT ${package})
endforeach()

if(TARGET dashf-pretrain)
  install(FILES cmake/dashf-pretrain.lintian-overrides DESTINATION share/lintian/overrides
    RENAME dashf-pretrain COMPONENT dashf-pretrain)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "${DASHF_MAINTAINER}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_OUTPUT_FILE_PREFIX ${CMAKE_BINARY_DIR}/packages)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL ${packages})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)

# describe(<package> <section> <description>)
function(describe package section description)
  string(TOUPPER ${package} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${package} PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section} PARENT_SCOPE)
  set(CPACK_COMPONENT_${upper}_DESCRIPTION "${description}" PARENT_SCOPE)
endfunction()
describe(dashf science "split fine-tuning of LLM adapters between users and edge servers\n\
Plans which mobile user trains how many layers with which edge server, and\n\
how bandwidth, transmit power and compute clocks are shared; trains LoRA and\n\
LLaMA-Adapter adapters; carries a plan out over mutual TLS.")
describe(dashf-mpi science "planning with dashf over MPI processes\n\
What \"dashf solve --mpi\" and \"dashf sweep --mpi\" need.")
describe(dashf-pretrain science "pre-training of small language models with dashf\n\
What \"dashf pretrain\" needs.")
describe(libdashf-dev libdevel "planner and training engine of dashf as C++ libraries\n\
Headers, static libraries and a CMake package: dashf::planner (scenarios,\n\
plans, evaluator, certificates, methods, sweeps) and dashf::engine.")
set(CPACK_DEBIAN_DASHF-MPI_PACKAGE_DEPENDS "dashf (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_DASHF-PRETRAIN_PACKAGE_DEPENDS "dashf (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_LIBDASHF-DEV_PACKAGE_DEPENDS
  "libeigen3-dev, libexpected-dev, libfmt-dev, libssl-dev, nlohmann-json3-dev")
set(CPACK_DEBIAN_LIBDASHF-DEV_PACKAGE_RECOMMENDS
  "libdnnl-dev, libpcre2-dev, libutf8proc-dev, pkg-config")
include(CPack)
