# The libFuzzer executables, in <build>/bin; the target fuzz_targets builds them all, seeds live in
# fuzz/corpus/<name>_fuzz/. A target is linked with the layers that it names, and of higher layers compiles its parser
# alone, so that CI need not build every kernel under sanitizers.
add_custom_target(fuzz_targets)

function(eke_fuzz source)
  cmake_parse_arguments(FUZZ "" "" "LAYERS;PARSER;LIBRARIES" ${ARGN})
  get_filename_component(name ${source} NAME_WE)
  list(TRANSFORM FUZZ_PARSER PREPEND ${PROJECT_SOURCE_DIR}/src/)
  list(TRANSFORM FUZZ_LAYERS PREPEND eke_)
  add_executable(${name} EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/src/${source} ${FUZZ_PARSER})
  target_link_libraries(${name} PRIVATE ${FUZZ_LAYERS} ${FUZZ_LIBRARIES})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  add_dependencies(fuzz_targets ${name})
endfunction()

eke_fuzz(data/image_fuzz.cpp LAYERS data)
eke_fuzz(data/json_fuzz.cpp LAYERS data)
eke_fuzz(data/npy_fuzz.cpp LAYERS data)
eke_fuzz(energy/meter_fuzz.cpp LAYERS energy)
eke_fuzz(onnx/onnx_fuzz.cpp LAYERS onnx)
eke_fuzz(learn/checkpoint_fuzz.cpp LAYERS tensor PARSER learn/checkpoint.cpp)
eke_fuzz(target/calibration_cache_fuzz.cpp LAYERS base PARSER target/calibration_cache.cpp target/version.cpp)
eke_fuzz(target/trtexec_fuzz.cpp LAYERS base
  PARSER target/trtexec.cpp target/trtexec_json.cpp target/version.cpp LIBRARIES nlohmann_json::nlohmann_json)
eke_fuzz(study/study_fuzz.cpp LAYERS study)
eke_fuzz(report/report_fuzz.cpp LAYERS report)
eke_fuzz(tune/tuning_fuzz.cpp LAYERS base PARSER tune/tuning.cpp LIBRARIES nlohmann_json::nlohmann_json)

# A parser whose fuzz target nobody lists would not run.
file(GLOB_RECURSE fuzz_sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/src/*_fuzz.cpp)
foreach(source ${fuzz_sources})
  get_filename_component(name ${source} NAME_WE)
  if(NOT TARGET ${name})
    message(FATAL_ERROR "src/${source} has no eke_fuzz(...) line in cmake/fuzz.cmake")
  endif()
endforeach()
