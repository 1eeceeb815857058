# One folder under src/ is one module: a static library dashf_<name> of its *.cc files (an interface
# library of headers alone) and, where it has *_test.cc files, one test program dashf_<name>_test.
# Warnings are errors for whoever works on it (the presets), not for whoever builds it otherwise.

function(dashf_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
    -Wno-sign-conversion -Wnon-virtual-dtor -Wold-style-cast
    $<$<BOOL:${DASHF_WARNINGS_AS_ERRORS}>:-Werror>)
endfunction()

if(DASHF_TESTS)
  add_library(dashf_test_main STATIC ${PROJECT_SOURCE_DIR}/tests/test_main.cc)
  target_link_libraries(dashf_test_main PUBLIC GTest::gmock)
  dashf_warnings(dashf_test_main)
endif()

# dashf_module(<name> [LINK <library>...] [TEST_LINK <library>...] [TESTS_AT_ONCE])
# TESTS_AT_ONCE: ctest starts the test program once, not once per test; for programs that take longer
# to start (libtorch: some seconds) than most of their tests to run.
function(dashf_module name)
  cmake_parse_arguments(arg "TESTS_AT_ONCE" "" "LINK;TEST_LINK" ${ARGN})
  set(source_dir ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../src)
  file(GLOB sources CONFIGURE_DEPENDS ${source_dir}/${name}/*.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(NOT sources)
    file(GLOB headers CONFIGURE_DEPENDS ${source_dir}/${name}/*.h)
    if(headers)
      add_library(dashf_${name} INTERFACE)
      target_link_libraries(dashf_${name} INTERFACE ${arg_LINK})
      set_target_properties(dashf_${name} PROPERTIES EXPORT_NAME ${name})
    endif()
    return()
  endif()
  add_library(dashf_${name} STATIC ${sources})
  target_include_directories(dashf_${name} PUBLIC $<BUILD_INTERFACE:${source_dir}>
    $<INSTALL_INTERFACE:include> $<INSTALL_INTERFACE:include/dashf>)
  target_compile_features(dashf_${name} PUBLIC cxx_std_20)
  set_target_properties(dashf_${name} PROPERTIES EXPORT_NAME ${name})
  target_link_libraries(dashf_${name} PUBLIC ${arg_LINK})
  dashf_warnings(dashf_${name})
  if(DASHF_TESTS AND tests)
    add_executable(dashf_${name}_test ${tests})
    target_link_libraries(dashf_${name}_test PRIVATE dashf_${name} ${arg_TEST_LINK} dashf_test_main)
    target_compile_definitions(dashf_${name}_test PRIVATE
      DASHF_SOURCE_DIR="${PROJECT_SOURCE_DIR}" DASHF_BINARY="${CMAKE_BINARY_DIR}/bin/dashf")
    dashf_warnings(dashf_${name}_test)
    # Of what a test takes to compile, three tenths are -O3 and, under the sanitizers, two fifths are
    # looking for undefined behaviour: both are meant for the modules.
    target_compile_options(dashf_${name}_test PRIVATE ${DASHF_TEST_FLAGS})
    if(arg_TESTS_AT_ONCE)
      add_test(NAME ${name} COMMAND dashf_${name}_test)
      set_tests_properties(${name} PROPERTIES TIMEOUT 900)
    else()
      gtest_discover_tests(dashf_${name}_test TEST_PREFIX ${name}. DISCOVERY_TIMEOUT 60
        PROPERTIES TIMEOUT 600)
    endif()
  endif()
endfunction()
