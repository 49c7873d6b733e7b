#include "energy/host.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>

namespace eke::energy {

namespace {

constexpr std::size_t kMaxFileBytes = 65536;

std::string_view trimmed(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

bool digit(char c) { return c >= '0' && c <= '9'; }

// The mailbox of the firmware, as linux/arch/arm/.../vcio and vcgencmd use it: a property buffer with one tag.
constexpr std::uint32_t kTagGencmd = 0x00030080;
constexpr std::size_t kGencmdBytes = 1024;
constexpr std::size_t kGencmdHeader = 6;  // words: size, code, tag, buffer size, request size, error
constexpr unsigned long kMailboxProperty = _IOWR(100, 0, char*);

}  // namespace

std::optional<std::int64_t> Host::integer(const std::string& path) {
  const FileText file = read(path);
  return file.good() ? parse_integer(file.text) : std::nullopt;
}

FileText RealHost::read(const std::string& path) {
  // Not blocking: a pipe or a device in place of a file must not hang the reader.
  const int fd = ::open((root_ + path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return {"", errno};
  std::array<char, 4096> buffer;
  FileText file;
  while (file.text.size() < kMaxFileBytes) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) file.error = errno;
    if (got <= 0) break;
    file.text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  ::close(fd);
  file.text = std::string(trimmed(file.text));
  return file;
}

std::vector<std::string> RealHost::list(const std::string& folder) {
  std::vector<std::string> names;
  DIR* directory = ::opendir((root_ + folder).c_str());
  if (!directory) return names;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  ::closedir(directory);
  std::sort(names.begin(), names.end(), natural_less);
  return names;
}

Nanoseconds raw_time() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC_RAW, &t);
  return std::chrono::seconds(t.tv_sec) + Nanoseconds(t.tv_nsec);
}

Nanoseconds RealHost::now() { return raw_time(); }

void RealHost::sleep(Nanoseconds time) {
  timespec t{time.count() / 1'000'000'000, time.count() % 1'000'000'000};
  while (time.count() > 0 && ::nanosleep(&t, &t) != 0 && errno == EINTR) {
  }
}

int RealHost::open_perf(std::uint32_t pmu_type, std::uint64_t config, int cpu) {
  if (!root_.empty()) return -ENOSYS;
  perf_event_attr attributes{};
  attributes.size = sizeof(attributes);
  attributes.type = pmu_type;
  attributes.config = config;
  const long fd = ::syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

FileText RealHost::firmware_command(const std::string& command) {
  if (command.size() + 1 >= kGencmdBytes) return {"", EINVAL};
  const int fd = ::open((root_ + "/dev/vcio").c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return {"", errno};
  std::array<std::uint32_t, kGencmdHeader + kGencmdBytes / 4 + 1> words{};
  words[0] = sizeof(words);
  words[2] = kTagGencmd;
  words[3] = kGencmdBytes;
  std::memcpy(&words[kGencmdHeader], command.c_str(), command.size() + 1);
  const int status = ::ioctl(fd, kMailboxProperty, words.data());
  const int error = status < 0 ? errno : words[5] != 0 ? EIO : 0;
  ::close(fd);
  const char* text = reinterpret_cast<const char*>(&words[kGencmdHeader]);
  return error ? FileText{"", error} : FileText{std::string(text, ::strnlen(text, kGencmdBytes)), 0};
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::optional<double> parse_decimal(std::string_view text) {
  text = trimmed(text);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

bool natural_less(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    if (digit(a[0]) && digit(b[0])) {
      const auto number = [](std::string_view& text) {
        std::size_t n = 0;
        while (n < text.size() && digit(text[n])) ++n;
        std::string_view digits = text.substr(0, n);
        text.remove_prefix(n);
        while (digits.size() > 1 && digits[0] == '0') digits.remove_prefix(1);
        return digits;
      };
      const std::string_view x = number(a), y = number(b);
      if (x != y) return x.size() != y.size() ? x.size() < y.size() : x < y;
      continue;
    }
    if (a[0] != b[0]) return a[0] < b[0];
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  return a.size() < b.size();
}

Fault fault_of(int error) noexcept {
  switch (error) {
    case 0:
      return Fault::none;
    case EAGAIN:
    case EINTR:
    case EBUSY:
      return Fault::again;
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return Fault::gone;
    case EACCES:
    case EPERM:
      return Fault::denied;
    case ETIMEDOUT:
      return Fault::timeout;
    default:
      return Fault::io_error;
  }
}

}  // namespace eke::energy
