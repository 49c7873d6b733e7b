#include "energy/net.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"

namespace eke::energy {

namespace {

constexpr std::size_t kMaxResponseBytes = 65536;

struct Resolution {
  std::mutex mutex;
  std::condition_variable done_signal;
  bool done = false, abandoned = false;
  int status = 0;
  addrinfo* list = nullptr;
};

// getaddrinfo knows no deadline: it runs on a thread of its own, which is left behind when it takes too long.
std::shared_ptr<addrinfo> resolve(const Address& address, Deadline deadline, std::string& error) {
  auto shared = std::make_shared<Resolution>();
  std::thread([shared, address] {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const int status = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &list);
    const std::lock_guard lock(shared->mutex);
    shared->status = status;
    shared->done = true;
    if (shared->abandoned && list) {
      ::freeaddrinfo(list);
    } else {
      shared->list = list;
    }
    shared->done_signal.notify_all();
  }).detach();
  std::unique_lock lock(shared->mutex);
  if (!shared->done_signal.wait_until(lock, deadline, [&] { return shared->done; })) {
    shared->abandoned = true;
    error = fmt::format("the name '{}' could not be resolved in time", address.host);
    return nullptr;
  }
  if (shared->status != 0) {
    error = fmt::format("'{}': {}", address.host, ::gai_strerror(shared->status));
    return nullptr;
  }
  return {shared->list, [](addrinfo* list) {
            if (list) ::freeaddrinfo(list);
          }};
}

Socket connect_one(const addrinfo& info, Deadline deadline, std::string& error) {
  Socket socket(::socket(info.ai_family, info.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, info.ai_protocol));
  if (!socket.good()) {
    error = std::strerror(errno);
    return socket;
  }
  if (::connect(socket.get(), info.ai_addr, info.ai_addrlen) == 0) return socket;
  int status = errno;
  if (status == EINPROGRESS) {
    status = ETIMEDOUT;
    socklen_t size = sizeof(status);
    if (wait_for(socket.get(), POLLOUT, deadline))
      ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &status, &size);
  }
  if (status == 0) return socket;
  error = std::strerror(status);
  return Socket();
}

bool send_all(int fd, std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno != EAGAIN && errno != EINTR) {
      return false;
    } else if (!wait_for(fd, POLLOUT, deadline)) {
      return false;
    }
  }
  return true;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

// The value of a header line, or nothing. `headers` is lower case and begins with a line break.
std::string_view header(std::string_view headers, std::string_view name) {
  const std::size_t at = headers.find(fmt::format("\n{}:", name));
  if (at == std::string_view::npos) return {};
  std::string_view value = headers.substr(at + name.size() + 2);
  value = value.substr(0, value.find_first_of("\r\n"));
  while (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}
Socket::Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Address parse_address(std::string_view text, const std::string& default_port) {
  Address address{"", default_port};
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close != std::string_view::npos) {
      address.host = text.substr(1, close - 1);
      has_port = text.size() > close + 1 && text[close + 1] == ':';
      if (has_port) port = text.substr(close + 2);
    }
  } else {
    const std::size_t colon = text.rfind(':');
    address.host = text.substr(0, colon);
    has_port = colon != std::string_view::npos;
    if (has_port) port = text.substr(colon + 1);
  }
  if (has_port) address.port = port;
  unsigned number = 0;
  const char* end = address.port.data() + address.port.size();
  const bool good =
      std::from_chars(address.port.data(), end, number).ptr == end && number > 0 && number < 65536;
  const bool clean = address.host.find_first_of(" /\r\n\t") == std::string::npos;
  if (address.host.empty() || !good || !clean)
    throw UsageError(fmt::format("'{}' is no address; the form is HOST or HOST:PORT", text));
  return address;
}

bool wait_for(int fd, short events, Deadline deadline) {
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd entry{fd, events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 1 << 30)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

Socket connect_to(const Address& address, Deadline deadline, std::string& error) {
  const std::shared_ptr<addrinfo> list = resolve(address, deadline, error);
  for (const addrinfo* info = list.get(); info; info = info->ai_next) {
    Socket socket = connect_one(*info, deadline, error);
    if (socket.good()) return socket;
  }
  return Socket();
}

HttpAnswer http_get(const Address& address, const std::string& path, Deadline deadline) {
  HttpAnswer answer;
  const Socket socket = connect_to(address, deadline, answer.error);
  if (!socket.good()) return answer;
  // Version 1.0: the answer ends with the connection and never comes in chunks.
  const std::string request =
      fmt::format("GET {} HTTP/1.0\r\nHost: {}\r\nAccept: application/json\r\nConnection: close\r\n\r\n",
                  path, address.host);
  if (!send_all(socket.get(), request, deadline)) return {0, "", "the request could not be sent"};
  std::string response;
  std::array<char, 4096> buffer;
  while (response.size() < kMaxResponseBytes) {
    if (!wait_for(socket.get(), POLLIN, deadline)) return {0, "", "no answer in time"};
    const ssize_t got = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (got == 0) break;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got < 0) return {0, "", std::strerror(errno)};
    response.append(buffer.data(), static_cast<std::size_t>(got));
    // Some plugs leave the connection open.
    if (const HttpAnswer complete = parse_http(response); complete.status != 0) return complete;
  }
  // The end of the connection stands for a missing length.
  const std::size_t split = response.find("\r\n\r\n");
  if (split == std::string::npos) return {0, "", "the answer is no HTTP"};
  const std::string sized = response.substr(0, split) +
                            fmt::format("\r\nContent-Length: {}", response.size() - split - 4) +
                            response.substr(split);
  answer = parse_http(sized);
  if (answer.status == 0 && answer.error.empty()) answer.error = "the answer ended too early";
  return answer;
}

HttpAnswer parse_http(std::string_view response) {
  HttpAnswer answer;
  const std::size_t split = response.find("\r\n\r\n");
  if (split == std::string_view::npos) return answer;
  const std::string head = lower(response.substr(0, split));
  if (!head.starts_with("http/1.") || head.size() < 12) return {0, "", "the answer is no HTTP"};
  int status = 0;
  const auto [end, error] = std::from_chars(head.data() + 9, head.data() + 12, status);
  if (error != std::errc() || end != head.data() + 12 || status < 100)
    return {0, "", "the answer is no HTTP"};
  if (header(head, "transfer-encoding").find("chunked") != std::string_view::npos)
    return {0, "", "the answer comes in chunks, which HTTP 1.0 does not have"};
  const std::string_view text = header(head, "content-length");
  std::size_t length = 0;
  if (text.empty() || std::from_chars(text.data(), text.data() + text.size(), length).ec != std::errc())
    return answer;
  const std::string_view body = response.substr(split + 4);
  if (length > body.size()) return answer;
  answer.status = status;
  answer.body = body.substr(0, length);
  return answer;
}

}  // namespace eke::energy
