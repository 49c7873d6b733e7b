# One libFuzzer executable for each src/<layer>/**/<name>_fuzz.cpp, linked with its layer. The target fuzz_targets
# builds them all into <build>/bin; seeds live in fuzz/corpus/<name>_fuzz/.
file(GLOB_RECURSE fuzz_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*_fuzz.cpp)
add_custom_target(fuzz_targets)
foreach(source ${fuzz_sources})
  file(RELATIVE_PATH path ${PROJECT_SOURCE_DIR}/src ${source})
  string(REGEX REPLACE "/.*" "" layer ${path})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} EXCLUDE_FROM_ALL ${source})
  target_link_libraries(${name} PRIVATE eke_${layer})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  add_dependencies(fuzz_targets ${name})
endforeach()
