// A library with the interface of NVML and three cards: one that counts energy, one that only shows power, one that shows
// nothing (as a virtual card does).
#include <cstdint>
#include <cstring>

namespace {
constexpr int kSuccess = 0, kNotSupported = 3, kLost = 15;
std::uintptr_t index_of(void* device) { return reinterpret_cast<std::uintptr_t>(device) - 1; }
unsigned long long energy_mj = 1'000'000;
}  // namespace

extern "C" {
int nvmlInit_v2() { return kSuccess; }
int nvmlShutdown() { return kSuccess; }
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 3;
  return kSuccess;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  *device = reinterpret_cast<void*>(std::uintptr_t{index} + 1);
  return kSuccess;
}
int nvmlDeviceGetName(void* device, char* name, unsigned size) {
  std::strncpy(name, index_of(device) == 0 ? "Fake H100" : "Fake K80", size);
  return kSuccess;
}
// The first card is lost after a while.
int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* mj) {
  if (index_of(device) != 0) return kNotSupported;
  energy_mj += 500;
  *mj = energy_mj;
  return energy_mj > 1'002'000 ? kLost : kSuccess;
}
int nvmlDeviceGetPowerUsage(void* device, unsigned* mw) {
  *mw = 61500;
  return index_of(device) == 2 ? kNotSupported : kSuccess;
}
const char* nvmlErrorString(int status) { return status == kNotSupported ? "Not Supported" : "GPU is lost"; }
}
