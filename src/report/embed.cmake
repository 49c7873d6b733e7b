# Puts text files into the layer `report` as constants (embedded.h): the page's own, and Debian's Chart.js.
find_file(EKE_CHART_JS NAMES chart.min.js Chart.min.js PATHS /usr/share/javascript/chart.js NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
if(NOT EKE_CHART_JS)
  message(FATAL_ERROR "Chart.js is missing: install libjs-chart.js, or give -DEKE_CHART_JS=path/to/chart.min.js (version 3 or 4)")
endif()

function(eke_embed constant file)
  set(source ${PROJECT_BINARY_DIR}/report/${constant}.cpp)
  add_custom_command(
    OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} -D CONSTANT=${constant} -D FILE=${file} -D SOURCE=${source}
      -P ${PROJECT_SOURCE_DIR}/cmake/embed_text.cmake
    DEPENDS ${file} ${PROJECT_SOURCE_DIR}/cmake/embed_text.cmake
    VERBATIM)
  target_sources(eke_report PRIVATE ${source})
endfunction()

eke_embed(kPageCss ${PROJECT_SOURCE_DIR}/src/report/page/page.css)
eke_embed(kPageJs ${PROJECT_SOURCE_DIR}/src/report/page/page.js)
eke_embed(kChartJs ${EKE_CHART_JS})
