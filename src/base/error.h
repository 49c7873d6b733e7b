// The one exception type of the library. What can go wrong before a plan runs throws an Error whose message
// names the place (file, node, tensor), the rule that is broken and the remedy; context is added on the way up.
#pragma once

#include <fmt/core.h>

#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace eke {

class Error : public std::exception {
 public:
  explicit Error(std::string message) : message_(std::move(message)) {}

  // Prefixes the message with the place where it happened: "file 'x.onnx': node 'conv1': ...".
  void add_context(std::string_view place) { message_ = std::string(place) + ": " + message_; }

  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

// Wrong use of an interface by its caller (an unknown option or name): the command exits with 2, not 1.
class UsageError : public Error {
 public:
  using Error::Error;
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void check(bool holds, fmt::format_string<Args...> format, Args&&... args) {
  if (!holds) throw Error(fmt::format(format, std::forward<Args>(args)...));
}

// Runs f; an Error that leaves it gets the place as context. `place` is a callable so that the text is only
// made when it is needed.
template <class Place, class F>
decltype(auto) with_context(Place&& place, F&& f) {
  try {
    return f();
  } catch (Error& error) {
    error.add_context(place());
    throw;
  }
}

}  // namespace eke
