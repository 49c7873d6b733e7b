# One file, one set of flags, one tier: a file named after a tier is compiled for it. Kernels never throw, so they
# need no unwinding, whose support would be a weak symbol shared between the tiers. GCC 12 warns of the undefined
# operands inside its own AVX-512 intrinsics.
file(GLOB_RECURSE kernel_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/kernels/*.cpp)
foreach(source ${kernel_sources})
  get_filename_component(tier ${source} NAME_WE)
  if(tier STREQUAL "scalar")
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-fno-exceptions")
  elseif(tier STREQUAL "avx2")
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-mf16c;-fno-exceptions;-O3")
  elseif(tier STREQUAL "avx512vnni")
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS
      "-mavx2;-mfma;-mf16c;-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512vnni;-Wno-uninitialized;-Wno-maybe-uninitialized;-fno-exceptions;-O3")
  endif()
endforeach()
