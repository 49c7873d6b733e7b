#include "energy/line.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "energy/meters.h"
#include "energy/net.h"

namespace eke::energy {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMaxLine = 256, kMaxNames = 32, kMaxName = 64;
constexpr auto kDiscovery = 1500ms;  // what has not spoken by then is not listed
constexpr Nanoseconds kSilence = 5s, kUnknownRefresh = 1s;

struct Unit {
  std::string_view name;
  Quantity quantity;
  double scale;  // to uW or uJ
};
constexpr Unit kUnits[] = {{"W", Quantity::power, 1e6},    {"mW", Quantity::power, 1e3},
                           {"uW", Quantity::power, 1},     {"J", Quantity::energy, 1e6},
                           {"mJ", Quantity::energy, 1e3},  {"uJ", Quantity::energy, 1},
                           {"Wh", Quantity::energy, 3.6e9}};

struct Latest {
  InstrumentLine line;
  Nanoseconds at{0}, gap{0};
};

// Reads lines on a thread of its own and keeps the last of each name with the time of its arrival.
class LineReader {
 public:
  LineReader(Host& host, Socket port) : host_(host), port_(std::move(port)), thread_([this] { run(); }) {}
  ~LineReader() {
    stop_ = true;
    thread_.join();
  }

  std::vector<Latest> latest() {
    const std::lock_guard lock(mutex_);
    return latest_;
  }
  bool over() const noexcept { return over_; }

 private:
  void run() {
    std::string pending;
    std::array<char, 1024> buffer;
    while (!stop_ && !over_) {
      if (!wait_for(port_.get(), POLLIN, std::chrono::steady_clock::now() + 50ms)) continue;
      const ssize_t got = ::read(port_.get(), buffer.data(), buffer.size());
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (got <= 0) over_ = true;
      for (ssize_t i = 0; i < got; ++i) {
        const char c = buffer[static_cast<std::size_t>(i)];
        if (c == '\n') {
          take(pending);
          pending.clear();
        } else if (pending.size() < kMaxLine) {
          pending += c;
        }
      }
    }
  }

  void take(const std::string& text) {
    const std::optional<InstrumentLine> line = parse_line(text);
    if (!line) return;
    const Nanoseconds now = host_.now();
    const std::lock_guard lock(mutex_);
    const auto at = std::find_if(latest_.begin(), latest_.end(), [&](const Latest& l) {
      return l.line.name == line->name && l.line.quantity == line->quantity;
    });
    if (at != latest_.end()) {
      *at = {*line, now, now - at->at};
    } else if (latest_.size() < kMaxNames) {
      latest_.push_back({*line, now});
    }
  }

  Host& host_;
  Socket port_;
  std::mutex mutex_;
  std::vector<Latest> latest_;
  std::atomic<bool> stop_ = false, over_ = false;
  std::thread thread_;
};

class LineMeter : public Meter {
 public:
  LineMeter(Host& host, std::unique_ptr<LineReader> reader, std::vector<Domain> domains)
      : Meter("line", std::move(domains)), host_(host), reader_(std::move(reader)) {}

  void read(std::span<Reading> out) noexcept override {
    try {
      const std::vector<Latest> latest = reader_->latest();
      for (std::size_t i = 0; i < out.size(); ++i) {
        const Latest& l = latest.at(i);
        const bool silent = host_.now() - l.at > kSilence;
        // The time of a reading is that of its line; one that was given before is not a new one.
        out[i] = {l.at, l.at, l.line.value,
                  reader_->over() ? Fault::gone
                  : silent        ? Fault::timeout
                                  : Fault::none};
        if (out[i].fault != Fault::none) out[i].begin = out[i].end = host_.now();
      }
    } catch (const std::exception&) {
      for (Reading& reading : out) reading = {host_.now(), host_.now(), 0, Fault::io_error};
    }
  }

 private:
  Host& host_;
  std::unique_ptr<LineReader> reader_;
};

std::optional<speed_t> speed_of(std::int64_t baud) {
  switch (baud) {
    case 9600:
      return B9600;
    case 19200:
      return B19200;
    case 38400:
      return B38400;
    case 57600:
      return B57600;
    case 115200:
      return B115200;
    case 230400:
      return B230400;
    case 460800:
      return B460800;
    case 921600:
      return B921600;
    default:
      return std::nullopt;
  }
}

// "/dev/ttyACM0@115200": raw, 8 bits, no parity.
Socket open_serial(const std::string& argument, std::string& error) {
  const std::size_t at = argument.rfind('@');
  const std::string path = argument.substr(0, at);
  const auto baud =
      at == std::string::npos ? 115200 : parse_integer(std::string_view(argument).substr(at + 1)).value_or(0);
  const std::optional<speed_t> speed = speed_of(baud);
  if (!speed) throw UsageError(fmt::format("'{}': the speed is none that serial ports have", argument));
  Socket port(::open(path.c_str(), O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  termios settings{};
  if (!port.good()) {
    error = fmt::format("{}: {}{}", path, std::strerror(errno),
                        errno == EACCES ? ": sudo usermod -aG dialout $USER, then log in again" : "");
  } else if (::tcgetattr(port.get(), &settings) == 0) {  // a pipe or a file has no settings
    ::cfmakeraw(&settings);
    ::cfsetispeed(&settings, *speed);
    ::cfsetospeed(&settings, *speed);
    ::tcsetattr(port.get(), TCSANOW, &settings);
  }
  return port;
}

}  // namespace

std::optional<InstrumentLine> parse_line(std::string_view line) {
  std::array<std::string_view, 3> words;
  std::size_t count = 0;
  while (true) {
    const std::size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) break;
    if (count == words.size()) return std::nullopt;
    line.remove_prefix(begin);
    const std::size_t end = line.find_first_of(" \t\r");
    words[count++] = line.substr(0, end);
    line.remove_prefix(end == std::string_view::npos ? line.size() : end);
  }
  if (count != words.size() || words[0].starts_with('#') || words[0].size() > kMaxName) return std::nullopt;
  const auto unit =
      std::find_if(std::begin(kUnits), std::end(kUnits), [&](const Unit& u) { return u.name == words[2]; });
  const std::optional<double> value = parse_decimal(words[1]);
  if (unit == std::end(kUnits) || !value || std::abs(*value * unit->scale) > 9e18) return std::nullopt;
  return InstrumentLine{std::string(words[0]), unit->quantity, std::llround(*value * unit->scale)};
}

Probe probe_line(Host& host, const std::string& argument) {
  Probe probe;
  Socket port;
  const Deadline deadline = std::chrono::steady_clock::now() + kDiscovery;
  if (argument.starts_with("tcp:")) {
    port = connect_to(parse_address(std::string_view(argument).substr(4), ""), deadline, probe.why_not);
  } else {
    port = open_serial(argument, probe.why_not);
  }
  if (!port.good()) return probe;
  auto reader = std::make_unique<LineReader>(host, std::move(port));
  std::this_thread::sleep_until(deadline);
  const std::vector<Latest> latest = reader->latest();
  if (latest.empty()) {
    probe.why_not = fmt::format("'{}' sent no line of the form 'NAME VALUE UNIT' in {} s", argument,
                                std::chrono::duration<double>(kDiscovery).count());
    return probe;
  }
  std::vector<Domain> domains;
  for (const Latest& l : latest) {
    Domain domain;
    domain.name = l.line.name;
    domain.quantity = l.line.quantity;
    domain.boundary = Boundary::supply;
    domain.resolution = 1000;
    domain.refresh = l.gap.count() > 0 ? 2 * l.gap : kUnknownRefresh;
    domain.in_total = latest.size() == 1;
    domain.source = argument;
    domains.push_back(std::move(domain));
  }
  probe.meter = std::make_unique<LineMeter>(host, std::move(reader), std::move(domains));
  return probe;
}

}  // namespace eke::energy
