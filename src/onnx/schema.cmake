# The classes of Debian's ONNX schema, generated for protobuf's lite runtime. In a package of our own, so that a
# program may link libonnx beside eke.
find_path(EKE_ONNX_SCHEMA_DIR NAMES onnx.proto onnx-ml.proto PATH_SUFFIXES onnx REQUIRED)
find_file(EKE_ONNX_SCHEMA NAMES onnx.proto onnx-ml.proto PATHS ${EKE_ONNX_SCHEMA_DIR} NO_DEFAULT_PATH
  NO_CMAKE_FIND_ROOT_PATH REQUIRED)
file(READ ${EKE_ONNX_SCHEMA} schema)
string(REGEX REPLACE "\npackage onnx;" "\npackage eke.schema;" schema "${schema}")
string(REGEX REPLACE "\noption optimize_for[^\n]*" "" schema "${schema}")
string(APPEND schema "\noption optimize_for = LITE_RUNTIME;\n")
set(schema_dir ${PROJECT_BINARY_DIR}/onnx_schema)
file(CONFIGURE OUTPUT ${schema_dir}/onnx_schema.proto CONTENT "${schema}" @ONLY)
add_custom_command(
  OUTPUT ${schema_dir}/onnx_schema.pb.cc ${schema_dir}/onnx_schema.pb.h
  COMMAND protobuf::protoc --cpp_out=${schema_dir} --proto_path=${schema_dir} onnx_schema.proto
  DEPENDS ${schema_dir}/onnx_schema.proto
  VERBATIM)
target_sources(eke_onnx PRIVATE ${schema_dir}/onnx_schema.pb.cc ${schema_dir}/onnx_schema.pb.h)
target_include_directories(eke_onnx SYSTEM PRIVATE ${schema_dir})
set_source_files_properties(${schema_dir}/onnx_schema.pb.cc PROPERTIES COMPILE_OPTIONS -w)
if(TARGET onnx_test)
  target_include_directories(onnx_test SYSTEM PRIVATE ${schema_dir})
endif()
