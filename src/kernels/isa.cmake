# One file, one set of flags, one tier: a file named after a tier is compiled for it. Kernels never throw, so they
# need no unwinding, whose support would be a weak symbol shared between the tiers. GCC 12 warns of the undefined
# operands inside its own AVX-512 intrinsics.
set(all_tiers -fno-exceptions)
set(vector_tiers -O3)
if(EKE_SANITIZE)
  # Checks woven into unrolled tiles take minutes to compile: calls instead, and undefined behaviour is looked for in the
  # scalar kernels, which do the same arithmetic.
  list(APPEND all_tiers -O1)
  set(vector_tiers -fno-sanitize=undefined)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND all_tiers --param=asan-stack=0 --param=asan-instrumentation-with-call-threshold=0)
  else()
    list(APPEND all_tiers -mllvm -asan-stack=0 -mllvm -asan-instrumentation-with-call-threshold=0)
  endif()
endif()
set(avx2_tier -mavx2 -mfma -mf16c)
set(avxvnni_tier ${avx2_tier} -mavxvnni)
set(avx512vnni_tier ${avx2_tier} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
  -Wno-uninitialized -Wno-maybe-uninitialized)
set(avx512bf16_tier ${avx512vnni_tier} -mavx512bf16)

# Tiles take every register; scheduling before these are given out would spill some.
set(neon_tier -fno-schedule-insns)
set(neon_dotprod_tier ${neon_tier} -march=armv8.2-a+dotprod)
set(i8mm_tier ${neon_tier} -march=armv8.2-a+dotprod+i8mm)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(tiers neon neon_dotprod i8mm)
else()
  set(tiers avx2 avxvnni avx512vnni avx512bf16)
endif()

# Variables joined before registers are given out: GCC 12 then stores the sums of an integer tile in each step of its
# loop. Of other families it does so where they are not joined.
set(gemm_avx512vnni $<$<CXX_COMPILER_ID:GNU>:-fno-tree-coalesce-vars>)
set(gemm_avx512bf16 ${gemm_avx512vnni})

file(GLOB_RECURSE kernel_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/kernels/*.cpp)
foreach(source ${kernel_sources})
  get_filename_component(tier ${source} NAME_WE)
  get_filename_component(family ${source} DIRECTORY)
  get_filename_component(family ${family} NAME)
  if(tier STREQUAL "scalar")  # the oracle, and small rather than fast
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-O2;${all_tiers}")
  elseif(tier IN_LIST tiers)
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${${tier}_tier};${${family}_${tier}};${vector_tiers};${all_tiers}")
  endif()
endforeach()
