# Installs the build into a fresh prefix, builds the consumer against it and runs it.
include(${CMAKE_CURRENT_LIST_DIR}/consumer.cmake)
build_consumer()
# Without a file to load it fails with the library's message, which shows that all of the library is linked.
execute_process(COMMAND ${WORK}/build/consumer ${WORK}/missing.onnx RESULT_VARIABLE result OUTPUT_VARIABLE output)
if(NOT result EQUAL 3 OR NOT output MATCHES "missing.onnx")
  message(FATAL_ERROR "the consumer gave ${result}: ${output}")
endif()
