// The joules of what a program does: meters, and windows over their readings. Needs no other header of eke, and
// knows nothing of networks: the CMake target eke::energy is this alone.
//
//   eke::energy::Session session(eke::energy::open_meters({"auto"}));
//   eke::energy::Window window = session.begin("work");
//   work();
//   eke::energy::WindowResult result = window.result();
//   for (const auto& d : result.domains) if (d.joules) use(d.domain.name, *d.joules, d.bound_j);
//
// A meter that is not there is a value with a reason, never an exception and never a zero. What an estimate gives is
// marked as an estimate in Domain::origin. All times are CLOCK_MONOTONIC_RAW.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace eke::energy {

using Nanoseconds = std::chrono::nanoseconds;

// What a domain counts: microjoules since some past instant, or microwatts now.
enum class Quantity : std::uint8_t { energy, power };

// How much of the machine a figure covers. Every figure is shown with its boundary.
enum class Boundary : std::uint8_t { core, rail, memory, package, device, module, machine, supply };

enum class Origin : std::uint8_t { measured, recorded, estimated };

std::string_view to_string(Boundary boundary) noexcept;
std::string_view to_string(Origin origin) noexcept;

struct Domain {
  std::string name;  // "package-0", "VDD_CPU_CV"
  Quantity quantity = Quantity::energy;
  Boundary boundary = Boundary::package;
  Origin origin = Origin::measured;
  int parent = -1;              // the domain of the same meter that contains this one, or -1
  bool in_total = false;        // domains of one level, which do not overlap: their sum is the meter's total
  std::int64_t resolution = 1;  // one step, in uJ or uW
  std::int64_t wrap_uj = 0;     // where a counter starts again; 0: never
  Nanoseconds refresh{0};       // the longest time between two updates, as documented or measured
  std::string source;           // the file, address or profile that it is read from
};

enum class Fault : std::uint8_t { none, again, io_error, gone, denied, garbage, timeout, over, charging };
std::string_view to_string(Fault fault) noexcept;

struct Reading {
  Nanoseconds begin{0}, end{0};  // when the read began and ended; the value belongs to the middle
  std::int64_t value = 0;        // uJ or uW
  Fault fault = Fault::none;     // else the value means nothing
};

// One source of readings. Used by one thread at a time.
class Meter {
 public:
  virtual ~Meter() = default;
  const std::string& name() const noexcept { return name_; }
  const std::vector<Domain>& domains() const noexcept { return domains_; }
  // One reading a domain, in their order. Returns within two seconds, whatever the hardware does.
  virtual void read(std::span<Reading> out) noexcept = 0;
  // Bytes that the caller moved to and from memory: only an estimate takes notice.
  virtual void moved(std::uint64_t bytes) noexcept { static_cast<void>(bytes); }

 protected:
  Meter(std::string name, std::vector<Domain> domains)
      : name_(std::move(name)), domains_(std::move(domains)) {}
  std::string name_;
  std::vector<Domain> domains_;
};

// A meter, or why there is none and what to do about it. `note` says what is left out of a meter that is there.
struct Probe {
  std::unique_ptr<Meter> meter;
  std::string why_not;
  std::string note;
};

struct MeterKind {
  std::string name, summary;
  std::string argument;  // the form of what follows "NAME:", empty where nothing does
};
// All kinds, in the order in which "auto" tries them; those with an argument are never tried by themselves.
std::vector<MeterKind> meter_kinds();

// `specification` is NAME or NAME:ARGUMENT. An unknown name throws an exception that lists the known ones.
Probe open_meter(const std::string& specification);
// "auto" stands for the first meter that is there. Throws when a meter that is named otherwise is not there; no
// meter for "auto" gives none. `why_not` then says why, a line a kind.
std::vector<std::unique_ptr<Meter>> open_meters(const std::vector<std::string>& specifications,
                                                std::string* why_not = nullptr);

struct SessionOptions {
  Nanoseconds period{0};     // between samples; 0: what the refresh of the meter asks for
  double cpu_share = 0.004;  // the sampler slows down rather than take more of a core than this
};

// Energy of one domain over one window.
struct DomainEnergy {
  std::string meter;
  Domain domain;
  std::optional<double> joules;  // none: `why_not`
  double bound_j = 0;            // the true energy is within joules -+ bound_j
  double mean_w = 0, peak_w = 0;
  std::int64_t samples = 0, missed = 0;  // readings inside the window; reads that failed
  Nanoseconds largest_gap{0};
  std::string why_not, note;
};

struct WindowResult {
  std::string name;
  double seconds = 0;
  std::vector<DomainEnergy> domains;
};

// The sum over the domains of one level of the first meter that has such a level. None where a meter's domains have
// no sum that is known to be the whole, or one of them was not measured.
struct Total {
  double joules = 0, bound_j = 0, mean_w = 0;
  std::string meter, formula;  // "package-0 + package-1"
  Boundary boundary = Boundary::package;
  Origin origin = Origin::measured;
};
std::optional<Total> total_of(const WindowResult& window);

// `window` with the energy subtracted that the idle machine would have taken, at the mean power of the idle windows
// before and after it. The bounds of the three are added, with half of the difference of the two idle powers.
WindowResult subtract_idle(const WindowResult& window, const WindowResult& before, const WindowResult& after);

// What the sampler thread of a meter costs.
struct SamplerCost {
  std::string meter;
  double cpu_share = 0;     // of one core
  double read_seconds = 0;  // mean time of a read
  std::int64_t reads = 0;
  Nanoseconds period{0};
};

class Session;

// A named stretch of time; windows may overlap. Ends at end(), at result() or with its destruction.
class Window {
 public:
  ~Window();
  Window(Window&&) noexcept;
  Window& operator=(Window&&) noexcept;
  void end();
  // Waits until every meter has been refreshed since the end, which the error bound needs. A meter that fails does
  // not make the others fail.
  WindowResult result();

 private:
  friend class Session;
  struct State;
  explicit Window(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Samples meters, each on a thread of its own, as long as it lives; it outlives its windows. begin() may be called
// from any thread.
class Session {
 public:
  explicit Session(std::vector<std::unique_ptr<Meter>> meters, const SessionOptions& options = {});
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Window begin(std::string name);
  std::vector<SamplerCost> costs() const;
  // The longest refresh of all domains: windows should hold at least a hundred of them.
  Nanoseconds refresh() const;
  bool empty() const noexcept;
  void moved(std::uint64_t bytes);  // to Meter::moved of all

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace eke::energy
