# libeke_runtime: inference alone, as one shared library for devices. What include/eke/model.h and version.h declare is
# visible (but Model::run_image, whose decoders stay outside); the rest is taken out of the layers' archives as far as it
# is reached. A device needs protobuf's lite runtime and fmt beside it, as Debian has them. No link-time optimization: the
# tiers of the kernels are told apart by the flags of their files.
include(GNUInstallDirs)

add_library(libeke_runtime SHARED ${PROJECT_SOURCE_DIR}/src/api/model.cpp ${PROJECT_SOURCE_DIR}/src/api/inference_only.cpp)
eke_compile_small(libeke_runtime)
set_target_properties(libeke_runtime PROPERTIES OUTPUT_NAME eke_runtime EXPORT_NAME runtime
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
target_compile_features(libeke_runtime INTERFACE cxx_std_20)
target_include_directories(libeke_runtime INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(libeke_runtime PRIVATE $<BUILD_INTERFACE:eke_runtime> $<BUILD_INTERFACE:eke_onnx>
  $<BUILD_INTERFACE:eke_data>)
set(exports ${PROJECT_SOURCE_DIR}/cmake/runtime_exports.map)
target_link_options(libeke_runtime PRIVATE -Wl,--gc-sections -Wl,--as-needed
  -Wl,--version-script=${exports} -Wl,-Map=${PROJECT_BINARY_DIR}/libeke_runtime.map)
set_target_properties(libeke_runtime PROPERTIES LINK_DEPENDS ${exports})
if(NOT EKE_SANITIZE)
  target_link_options(libeke_runtime PRIVATE -s -Wl,-z,defs)
endif()
