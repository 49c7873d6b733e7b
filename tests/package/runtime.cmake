# Installs the build, builds the example of the library for devices against it, which finds that component alone, and lets
# it classify a picture as the command does.
include(${CMAKE_CURRENT_LIST_DIR}/consumer.cmake)
build_consumer(-D CMAKE_DISABLE_FIND_PACKAGE_JPEG=ON)

# What it takes, optimized, is its purpose: growth is decided on here.
file(GLOB library ${WORK}/prefix/lib*/libeke_runtime.so ${WORK}/prefix/lib/*/libeke_runtime.so)
file(REAL_PATH ${library} library)
file(SIZE ${library} bytes)
if(OPTIMIZED AND NOT SANITIZE AND bytes GREATER 2600000)
  message(FATAL_ERROR "libeke_runtime has ${bytes} bytes; scripts/runtime_size.sh says what takes them")
endif()

set(eke ${WORK}/prefix/bin/eke)
run(${eke} new resnet8 --seed 3 -o ${WORK}/net.onnx)
string(REPEAT "eke runs networks" 61 pixels)  # 1037 characters
string(REPEAT "${pixels}" 3 pixels)
string(SUBSTRING "${pixels}" 0 3072 pixels)
file(WRITE ${WORK}/picture.ppm "P6 32 32 255\n${pixels}")
execute_process(COMMAND ${eke} run ${WORK}/net.onnx ${WORK}/picture.ppm --top 1 OUTPUT_VARIABLE wanted)
execute_process(COMMAND ${WORK}/build/runtime_example ${WORK}/net.onnx ${WORK}/picture.ppm
  RESULT_VARIABLE result OUTPUT_VARIABLE output)
string(REGEX MATCH "class ([0-9]+)" unused "${wanted}")
if(NOT result EQUAL 0 OR NOT output MATCHES "class ${CMAKE_MATCH_1} with .*loaded in")
  message(FATAL_ERROR "the example gave ${result}: ${output}, and eke: ${wanted}")
endif()
