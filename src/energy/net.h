// TCP connections and HTTP GET that end by a deadline, whatever the other side does.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace eke::energy {

using Deadline = std::chrono::steady_clock::time_point;

// Closes its descriptor.
class Socket {
 public:
  explicit Socket(int fd = -1) noexcept : fd_(fd) {}
  ~Socket();
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;
  int get() const noexcept { return fd_; }
  bool good() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

struct Address {
  std::string host;
  std::string port;
};
// "host", "host:port", "[v6]:port". Throws UsageError when it is none of these.
Address parse_address(std::string_view text, const std::string& default_port);

// Connected and not blocking; else a Socket that is not good, and `error`.
Socket connect_to(const Address& address, Deadline deadline, std::string& error);

// Waits for `events` of poll(2); false after the deadline.
bool wait_for(int fd, short events, Deadline deadline);

struct HttpAnswer {
  int status = 0;  // 0: no answer, `error` says why
  std::string body, error;
};
HttpAnswer http_get(const Address& address, const std::string& path, Deadline deadline);

// An HTTP response as it came from the network, the body cut to its Content-Length.
HttpAnswer parse_http(std::string_view response);

}  // namespace eke::energy
