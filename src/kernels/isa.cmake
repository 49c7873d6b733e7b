# One file, one set of flags, one tier: a file named after a tier is compiled for it.
file(GLOB_RECURSE kernel_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/kernels/*.cpp)
foreach(source ${kernel_sources})
  get_filename_component(tier ${source} NAME_WE)
  if(tier STREQUAL "avx2")
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-mf16c;-O3")
  elseif(tier STREQUAL "avx512vnni")
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS
      "-mavx2;-mfma;-mf16c;-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512vnni;-O3")
  endif()
endforeach()
