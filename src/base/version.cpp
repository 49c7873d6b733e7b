#include "eke/version.h"

namespace eke {

const char* version() noexcept { return EKE_VERSION; }

}  // namespace eke
