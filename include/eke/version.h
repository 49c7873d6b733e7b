// The version of the library: of the headers at compile time, of the linked library at run time.
#pragma once

#define EKE_VERSION "0.1.0"

namespace eke {

const char* version() noexcept;

}  // namespace eke
