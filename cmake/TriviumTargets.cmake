# SPDX-License-Identifier: Apache-2.0
# -Wrestrict: GCC 12 sees overlaps in std::string that are not there (GCC bug 105651). Missing field initializers are
# how options with defaults are meant to be written.
set(trivium_warnings -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-restrict)

# trivium_layer(NAME SOURCES file... [LINKS target...]): the static library of one folder.
function(trivium_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE ${trivium_warnings})
  target_link_libraries(${name} PUBLIC ${ARG_LINKS})
endfunction()

# trivium_test(NAME SOURCES file... LINKS target... [LABELS label...]): every case a ctest test of its own.
function(trivium_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE ${trivium_warnings})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} GTest::gmock GTest::gtest_main)
  set(properties TIMEOUT 300)
  if(ARG_LABELS)
    list(APPEND properties LABELS ${ARG_LABELS})
  endif()
  gtest_discover_tests(${name} TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60 PROPERTIES ${properties})
endfunction()
