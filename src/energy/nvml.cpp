// NVIDIA graphics cards through NVML, which the driver brings and which is loaded at run time. The counter of total
// energy (Volta and later, mJ, steps about every 100 ms) where there is one, else the power, which recent cards
// average over a second and sample for a part of the time only (arXiv 2312.02741).
#include <dlfcn.h>
#include <fmt/format.h>

#include <array>

#include "energy/meters.h"

namespace eke::energy {

namespace {

using namespace std::chrono_literals;

// The part of nvml.h that is used; its interface is stable by promise.
using Device = void*;
constexpr int kSuccess = 0, kLost = 15;
constexpr unsigned kMaxDevices = 64;

struct Nvml {
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*handle)(unsigned, Device*) = nullptr;
  int (*device_name)(Device, char*, unsigned) = nullptr;
  int (*total_energy)(Device, unsigned long long*) = nullptr;
  int (*power)(Device, unsigned*) = nullptr;
  const char* (*error_string)(int) = nullptr;
};

template <class Function>
bool load(void* library, const char* symbol, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, symbol));
  return function != nullptr;
}

struct Library {
  void* handle = nullptr;
  Nvml nvml;
  bool ready = false;
  ~Library() {
    if (ready) nvml.shutdown();
    if (handle) ::dlclose(handle);
  }

  // Empty, or why it cannot be used.
  std::string open(const std::string& name) {
    handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) return name + " is not there: this machine has no NVIDIA driver";
    const bool complete = load(handle, "nvmlInit_v2", nvml.init) &&
                          load(handle, "nvmlShutdown", nvml.shutdown) &&
                          load(handle, "nvmlDeviceGetCount_v2", nvml.count) &&
                          load(handle, "nvmlDeviceGetHandleByIndex_v2", nvml.handle) &&
                          load(handle, "nvmlDeviceGetName", nvml.device_name) &&
                          load(handle, "nvmlDeviceGetTotalEnergyConsumption", nvml.total_energy) &&
                          load(handle, "nvmlDeviceGetPowerUsage", nvml.power) &&
                          load(handle, "nvmlErrorString", nvml.error_string);
    if (!complete) return name + " is too old: it lacks the counter of total energy";
    const int status = nvml.init();
    ready = status == kSuccess;
    return ready ? "" : fmt::format("nvmlInit: {}", nvml.error_string(status));
  }
};

class NvmlMeter : public Meter {
 public:
  NvmlMeter(Host& host, std::unique_ptr<Library> library, std::vector<Device> devices,
            std::vector<Domain> domains)
      : Meter("nvml", std::move(domains)),
        host_(host),
        library_(std::move(library)),
        devices_(std::move(devices)) {}

  void read(std::span<Reading> out) noexcept override {
    for (std::size_t i = 0; i < devices_.size(); ++i) {
      out[i] = {host_.now()};
      unsigned long long mj = 0;
      unsigned mw = 0;
      const bool counter = domains_[i].quantity == Quantity::energy;
      const int status =
          counter ? library_->nvml.total_energy(devices_[i], &mj) : library_->nvml.power(devices_[i], &mw);
      out[i].end = host_.now();
      out[i].value = static_cast<std::int64_t>(counter ? mj : mw) * 1000;
      if (status != kSuccess) out[i].fault = status == kLost ? Fault::gone : Fault::io_error;
    }
  }

 private:
  Host& host_;
  std::unique_ptr<Library> library_;
  std::vector<Device> devices_;
};

// What a device can say; false and a note when it can say nothing.
bool describe(const Nvml& nvml, Device device, unsigned index, Domain& domain, std::string& note) {
  std::array<char, 96> name{};
  if (nvml.device_name(device, name.data(), name.size() - 1) != kSuccess) name[0] = '\0';
  unsigned long long mj = 0;
  unsigned mw = 0;
  domain.name = fmt::format("gpu-{}", index);
  domain.boundary = Boundary::device;
  domain.in_total = true;
  domain.source = name.data();
  domain.resolution = 1000;
  if (nvml.total_energy(device, &mj) == kSuccess) {
    domain.quantity = Quantity::energy;
    domain.refresh = 100ms;
    return true;
  }
  const int status = nvml.power(device, &mw);
  if (status == kSuccess) {
    domain.quantity = Quantity::power;
    domain.refresh = 1s;
    return true;
  }
  note += fmt::format("{}{} ({}) left out: {}", note.empty() ? "" : "; ", domain.name, domain.source,
                      nvml.error_string(status));
  return false;
}

}  // namespace

Probe probe_nvml(Host& host, const std::string&) {
  Probe probe;
  auto library = std::make_unique<Library>();
  probe.why_not = library->open(host.nvml_library());
  if (!probe.why_not.empty()) return probe;
  unsigned count = 0;
  library->nvml.count(&count);
  std::vector<Device> devices;
  std::vector<Domain> domains;
  for (unsigned i = 0; i < std::min(count, kMaxDevices); ++i) {
    Device device = nullptr;
    Domain domain;
    if (library->nvml.handle(i, &device) != kSuccess) continue;
    if (!describe(library->nvml, device, i, domain, probe.note)) continue;
    devices.push_back(device);
    domains.push_back(std::move(domain));
  }
  if (domains.empty()) {
    probe.why_not = probe.note.empty() ? "the driver sees no graphics card" : probe.note;
    probe.note.clear();
    return probe;
  }
  probe.meter = std::make_unique<NvmlMeter>(host, std::move(library), std::move(devices), std::move(domains));
  return probe;
}

}  // namespace eke::energy
