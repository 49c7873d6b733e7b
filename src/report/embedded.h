// Files that were put into the program when it was built: src/report/page/ and Chart.js (MIT).
#pragma once

#include <string_view>

namespace eke::report {

extern const std::string_view kPageCss;
extern const std::string_view kPageJs;
extern const std::string_view kChartJs;

}  // namespace eke::report
