# Installs the build into a fresh prefix, builds the consumer against it and runs it.
include(${CMAKE_CURRENT_LIST_DIR}/consumer.cmake)
build_consumer()
# Without a file to load it fails with the library's message, which shows that all of the library is linked.
execute_process(COMMAND ${WORK}/build/consumer ${WORK}/missing.onnx RESULT_VARIABLE result OUTPUT_VARIABLE output)
if(NOT result EQUAL 3 OR NOT output MATCHES "missing.onnx")
  message(FATAL_ERROR "the consumer gave ${result}: ${output}")
endif()

# And it makes an int8 model, with the installed headers and library alone.
run(${WORK}/prefix/bin/eke new resnet8 --seed 3 -o ${WORK}/net.onnx)
string(REPEAT "eke quantizes networks" 140 pixels)
string(SUBSTRING "${pixels}" 0 3072 pixels)
foreach(picture RANGE 1 8)
  file(WRITE ${WORK}/pictures/${picture}.ppm "P6 32 32 255\n${pixels}")
endforeach()
execute_process(COMMAND ${WORK}/build/consumer ${WORK}/net.onnx ${WORK}/pictures ${WORK}/net.int8.onnx
  RESULT_VARIABLE result OUTPUT_VARIABLE output)
if(NOT result EQUAL 0 OR NOT output MATCHES " f32 1 10" OR NOT EXISTS ${WORK}/net.int8.onnx)
  message(FATAL_ERROR "quantizing gave ${result}: ${output}")
endif()
