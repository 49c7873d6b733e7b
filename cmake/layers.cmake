# eke_layer(<name> [DEPENDS <layers>...] [LIBRARIES <targets>...])
# One static library of src/<name>/*.cpp, which sees only the layers that it names, and one test executable of
# src/<name>/*_test.cpp; with EKE_BENCHMARKS also one benchmark of src/<name>/*_bench.cpp. The arguments say the same as the table of layers in ARCHITECTURE.md.
function(eke_layer name)
  cmake_parse_arguments(LAYER "" "" "DEPENDS;LIBRARIES" ${ARGN})
  set(directory ${PROJECT_SOURCE_DIR}/src/${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${directory}/*.cpp)
  set(tests ${sources})
  set(benchmarks ${sources})
  list(FILTER sources EXCLUDE REGEX "(_(test|bench|fuzz)|/main)\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER benchmarks INCLUDE REGEX "_bench\\.cpp$")
  if(NOT sources)  # a layer of headers alone
    set(sources ${PROJECT_BINARY_DIR}/${name}_empty.cpp)
    file(CONFIGURE OUTPUT ${sources} CONTENT "")
  endif()
  add_library(eke_${name} STATIC ${sources})
  target_include_directories(eke_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
  list(TRANSFORM LAYER_DEPENDS PREPEND eke_)
  target_link_libraries(eke_${name} PUBLIC ${LAYER_DEPENDS} ${LAYER_LIBRARIES})
  set_property(GLOBAL APPEND PROPERTY EKE_LAYERS eke_${name})
  set_property(GLOBAL APPEND PROPERTY EKE_LIBRARIES ${LAYER_LIBRARIES})
  if(EKE_TESTS AND tests)
    eke_test(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE eke_${name})
  endif()
  if(EKE_BENCHMARKS AND benchmarks)
    add_executable(${name}_bench ${benchmarks})
    target_link_libraries(${name}_bench PRIVATE eke_${name})
  endif()
endfunction()

# For sources whose own speed matters to nobody: a fifth to a third less time to compile.
function(eke_compile_quickly target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# For what runs once a model, or is the reference that fast code is compared with.
function(eke_compile_small target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-Os>)
endfunction()

function(eke_compile_small_source source)
  set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "$<$<CONFIG:Release>:-Os>")
endfunction()

# A GoogleTest executable whose cases ctest sees one by one.
function(eke_test name)
  find_package(GTest REQUIRED)
  include(GoogleTest)
  add_executable(${name} ${ARGN})
  eke_compile_quickly(${name})
  target_link_libraries(${name} PRIVATE GTest::gtest GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 600)
endfunction()
