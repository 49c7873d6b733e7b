# Installs the build, builds the example of the energy library against it, which finds that component alone, and runs it
# on a recording and on what this machine has.
include(${CMAKE_CURRENT_LIST_DIR}/consumer.cmake)
build_consumer(-D CMAKE_DISABLE_FIND_PACKAGE_Protobuf=ON)
run(${WORK}/build/energy_example)
set(trace "seconds,usb_w\n")
foreach(second RANGE 0 300)
  string(APPEND trace "${second},2.5\n")
endforeach()
file(WRITE ${WORK}/trace.csv "${trace}")
execute_process(COMMAND ${WORK}/build/energy_example trace:${WORK}/trace.csv RESULT_VARIABLE result OUTPUT_VARIABLE output)
if(NOT result EQUAL 0 OR NOT output MATCHES "usb: [0-9.]+ J \\+- [0-9.]+ J \\(supply, recorded\\)")
  message(FATAL_ERROR "the example gave ${result}: ${output}")
endif()
