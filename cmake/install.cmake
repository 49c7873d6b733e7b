# One static library from the objects of all layers, one of the energy layer alone, and the CMake package that finds
# them and the shared library of runtime.cmake: eke::eke, and eke::energy and eke::runtime as components of those names.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(layers GLOBAL PROPERTY EKE_LAYERS)
get_property(libraries GLOBAL PROPERTY EKE_LIBRARIES)
list(REMOVE_ITEM layers eke_cli)
list(REMOVE_ITEM libraries CLI11::CLI11)
list(REMOVE_DUPLICATES libraries)
list(TRANSFORM layers REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
add_library(libeke STATIC ${objects})
set_target_properties(libeke PROPERTIES OUTPUT_NAME eke EXPORT_NAME eke LINKER_LANGUAGE CXX)
target_compile_features(libeke INTERFACE cxx_std_20)
target_include_directories(libeke INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(libeke PRIVATE ${libraries})

add_library(libeke_energy STATIC $<TARGET_OBJECTS:eke_base> $<TARGET_OBJECTS:eke_energy>)
set_target_properties(libeke_energy PROPERTIES OUTPUT_NAME eke_energy EXPORT_NAME energy LINKER_LANGUAGE CXX)
target_compile_features(libeke_energy INTERFACE cxx_std_20)
target_include_directories(libeke_energy INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(libeke_energy PRIVATE fmt::fmt Threads::Threads ${CMAKE_DL_LIBS})

install(TARGETS libeke_runtime EXPORT ekeRuntimeTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT ekeRuntimeTargets NAMESPACE eke:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/eke)
install(TARGETS libeke_energy EXPORT ekeEnergyTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT ekeEnergyTargets NAMESPACE eke:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/eke)
install(TARGETS libeke EXPORT ekeTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/eke DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT ekeTargets NAMESPACE eke:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/eke)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/ekeConfig.cmake.in
  ${PROJECT_BINARY_DIR}/ekeConfig.cmake INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/eke)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ekeConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ekeConfig.cmake ${PROJECT_BINARY_DIR}/ekeConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/eke)
