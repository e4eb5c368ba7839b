# What keeps a build from nothing short: the standard headers are compiled once for all folders and once more, with
# GoogleTest, for all tests; and code that is never hot is optimised less. A clean build then takes about two thirds of
# the processor time. On where there is no ccache; .ci/run asks for it always. A build folder keeps what it was set to.
#
# Only headers from outside are precompiled: a change in the tree never invalidates them. They hide a missing #include of
# a standard header; clang-tidy and the fuzz build (clang) compile without them.
#
# The files of some folders, and those of a test program, are compiled several at a time, which halves their cost: two of
# one folder then may not give one name to two things, not even in unnamed namespaces ("redefinition" is the error).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT CCACHE)
  option(TENON_QUICK_BUILD "Precompiled headers, files joined, -O1 where nothing is hot" ON)
else()
  option(TENON_QUICK_BUILD "Precompiled headers, files joined, -O1 where nothing is hot" OFF)
endif()

# Folders whose code runs once per model or per command, never per element or per step.
set(TENON_COLD formats/onnx formats/savedmodel autograd verify api serve/servables tools compiler ir)
# Folders whose files are compiled together; tests always are.
set(TENON_JOINED compiler eager ir keras serve/core serve/servables tools)

if(TENON_QUICK_BUILD)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 takes strings built from literals for overlong copies (GCC bugs 105329, 105762); it keeps that to itself in
    # standard headers, but not in precompiled ones.
    target_compile_options(tenon_flags INTERFACE -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
  else()
    # A precompiled header is known by what it says and not by when it was written: ccache may have made it.
    target_compile_options(tenon_flags INTERFACE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
  if(CCACHE)
    # Without this ccache takes no file that includes a precompiled header; nothing here expands __TIME__ or __DATE__.
    set(CMAKE_CXX_COMPILER_LAUNCHER env
        CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_ctime,include_file_mtime ${CCACHE})
  endif()
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/precompiled.cc CONTENT
       "// Only its precompiled header is of use.\nint main() {}\n")
  set(standard_headers <algorithm> <array> <atomic> <bit> <charconv> <cmath> <complex> <cstdint> <cstring> <functional>
      <limits> <map> <memory> <mutex> <numeric> <optional> <set> <span> <string> <string_view> <unordered_map> <utility>
      <variant> <vector>)
  add_library(tenon_precompiled OBJECT EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/generated/precompiled.cc)
  target_precompile_headers(tenon_precompiled PRIVATE ${standard_headers} <fmt/format.h>)
  target_link_libraries(tenon_precompiled PRIVATE tenon_flags fmt::fmt)
endif()

# For a target whose code is never hot.
function(tenon_cold target)
  if(TENON_QUICK_BUILD)
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  endif()
endfunction()

# For a target whose files are compiled several at a time.
function(tenon_join target)
  if(TENON_QUICK_BUILD)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  endif()
endfunction()

# Gives an object library of src/ the precompiled standard headers.
function(tenon_use_precompiled target)
  if(TENON_QUICK_BUILD)
    target_precompile_headers(${target} REUSE_FROM tenon_precompiled)
  endif()
endfunction()

# The same for a test program, with GoogleTest; its flags must be those of every other test program.
function(tenon_use_precompiled_test target)
  if(NOT TENON_QUICK_BUILD)
    return()
  endif()
  if(NOT TARGET tenon_precompiled_test)
    # A program, not a library: its code is position-independent in another way, which g++ compares.
    add_executable(tenon_precompiled_test EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/generated/precompiled.cc)
    target_precompile_headers(tenon_precompiled_test PRIVATE ${standard_headers} <filesystem> <fstream> <gmock/gmock.h>
                              <gtest/gtest.h>)
    target_link_libraries(tenon_precompiled_test PRIVATE tenon_flags ${TENON_LIBS} GTest::gtest GTest::gmock)
    tenon_cold(tenon_precompiled_test)
  endif()
  target_precompile_headers(${target} REUSE_FROM tenon_precompiled_test)
endfunction()
