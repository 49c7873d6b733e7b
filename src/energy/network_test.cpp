// Plugs and instruments on a server of the test's own: good ones, slow ones, and ones that answer nonsense.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <thread>

#include "base/error.h"
#include "energy/fake_host.h"
#include "energy/line.h"
#include "energy/meters.h"
#include "energy/net.h"
#include "energy/plug.h"

namespace eke::energy {
namespace {

using namespace std::chrono_literals;

// Answers every connection on a thread of its own until it is destroyed.
class Server {
 public:
  explicit Server(std::function<void(int fd, const std::string& request)> answer)
      : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 8) != 0)
      return;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Server() {
    stop_ = true;
    thread_.join();
    ::close(listener_);
  }
  std::string address() const { return fmt::format("127.0.0.1:{}", port_); }
  bool stopping() const { return stop_; }

 private:
  void run() {
    while (!stop_) {
      pollfd entry{listener_, POLLIN, 0};
      if (::poll(&entry, 1, 20) <= 0) continue;
      const int fd = ::accept(listener_, nullptr, nullptr);
      char buffer[1024];
      pollfd incoming{fd, POLLIN, 0};
      const ssize_t got = ::poll(&incoming, 1, 100) > 0 ? ::recv(fd, buffer, sizeof(buffer), 0) : 0;
      answer_(fd, std::string(buffer, static_cast<std::size_t>(std::max<ssize_t>(got, 0))));
      ::close(fd);
    }
  }

  std::function<void(int, const std::string&)> answer_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

void send_text(int fd, const std::string& text) {
  [[maybe_unused]] const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
}

std::string http(const std::string& body, const char* status = "200 OK") {
  return fmt::format("HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", status,
                     body.size(), body);
}

const std::string kGen2 = R"({"id":0,"output":true,"apower":8.9,"voltage":237.5,"aenergy":{"total":6.532}})";
const std::string kGen1 = R"({"meters":[{"power":12.34,"is_valid":true,"total":5000}],"uptime":12})";
const std::string kTasmota =
    R"({"StatusSNS":{"Time":"2024-01-01T00:00:00","ENERGY":{"Total":1.234,"Power":17}}})";

TEST(Plugs, EachKindHasItsUnits) {
  EXPECT_DOUBLE_EQ(*parse_shelly_gen2(kGen2).watts, 8.9);
  EXPECT_DOUBLE_EQ(*parse_shelly_gen2(kGen2).joules, 6.532 * 3600);
  EXPECT_DOUBLE_EQ(*parse_shelly_gen1(kGen1).joules, 5000 * 60);  // watt-minutes
  EXPECT_DOUBLE_EQ(*parse_tasmota(kTasmota).joules, 1.234 * 3.6e6);
  for (const char* bad : {"", "null", "[]", "{}", "{\"apower\":\"8\"}", "{\"meters\":{}}", "{\"meters\":[]}",
                          "{\"StatusSNS\":3}", "{\"apower\":1e300}", "\xff\xfe"}) {
    EXPECT_FALSE(parse_shelly_gen2(bad).watts) << bad;
    EXPECT_FALSE(parse_shelly_gen1(bad).watts) << bad;
    EXPECT_FALSE(parse_tasmota(bad).watts) << bad;
  }
}

TEST(Plugs, AreFoundAndRead) {
  const auto answer = [](int fd, const std::string& request) {
    if (request.starts_with("GET /rpc/")) return send_text(fd, http(kGen2));
    send_text(fd, http("", "404 Not Found"));
  };
  Server gen2(answer);
  test::FakeHost host;
  const Probe probe = open_meter(host, "shelly:" + gen2.address());
  ASSERT_TRUE(probe.meter) << probe.why_not;
  std::vector<Reading> out(probe.meter->domains().size());
  probe.meter->read(out);
  EXPECT_EQ(out[0].value, 8'900'000);
  EXPECT_EQ(out[1].value, 23'515'200'000);

  Server gen1([](int fd, const std::string& request) {
    send_text(fd, request.starts_with("GET /status") ? http(kGen1) : http("", "404 Not Found"));
  });
  const Probe old = open_meter(host, "shelly:" + gen1.address());
  ASSERT_TRUE(old.meter) << old.why_not;
  EXPECT_NE(old.meter->domains()[0].source.find("/status"), std::string::npos);
  Server tasmota([](int fd, const std::string&) { send_text(fd, http(kTasmota)); });
  EXPECT_TRUE(open_meter(host, "tasmota:" + tasmota.address()).meter);
}

TEST(Plugs, BadOnesEndInTimeWithAReason) {
  std::atomic<bool> done = false;
  struct Case {
    const char* name;
    std::function<void(int, const std::string&)> answer;
    const char* word;
  };
  const std::vector<Case> cases = {
      {"silent",
       [&](int, const std::string&) {
         while (!done) std::this_thread::sleep_for(10ms);
       },
       "no answer in time"},
      {"drips",
       [&](int fd, const std::string&) {
         while (!done) {
           send_text(fd, "H");
           std::this_thread::sleep_for(50ms);
         }
       },
       "no answer in time"},
      {"hangs up", [](int, const std::string&) {}, "no HTTP"},
      {"garbage", [](int fd, const std::string&) { send_text(fd, "\x01\x02\x03"); }, "no HTTP"},
      {"too short",
       [](int fd, const std::string&) { send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{}"); },
       "ended too early"},
      {"no JSON", [](int fd, const std::string&) { send_text(fd, http("<html>")); }, "answers, but not"},
      {"password", [](int fd, const std::string&) { send_text(fd, http("", "401 Unauthorized")); },
       "password"},
      {"endless",
       [&](int fd, const std::string&) {
         for (int i = 0; i < 400; ++i) send_text(fd, std::string(1000, 'a'));
       },
       "no HTTP"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    done = false;
    Server server(c.answer);
    test::FakeHost host;
    const auto begin = std::chrono::steady_clock::now();
    const Probe probe = open_meter(host, "tasmota:" + server.address());
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
    EXPECT_FALSE(probe.meter);
    EXPECT_NE(probe.why_not.find(c.word), std::string::npos) << probe.why_not;
    done = true;
  }
}

TEST(Plugs, APlugThatDiesIsAFault) {
  test::FakeHost host;
  Probe probe;
  {
    Server server([](int fd, const std::string&) { send_text(fd, http(kTasmota)); });
    probe = open_meter(host, "tasmota:" + server.address());
    ASSERT_TRUE(probe.meter) << probe.why_not;
  }
  std::vector<Reading> out(probe.meter->domains().size());
  probe.meter->read(out);
  EXPECT_EQ(out[0].fault, Fault::timeout);
}

// In mid-run a read gives up in time, and the next one that is answered is good again.
TEST(Plugs, APlugThatIsSlowForAWhileIsAFaultForAWhile) {
  std::atomic<bool> slow = false;
  Server* self = nullptr;
  Server server([&](int fd, const std::string&) {
    while (slow && !self->stopping()) std::this_thread::sleep_for(10ms);
    send_text(fd, http(kTasmota));
  });
  self = &server;
  test::FakeHost host;
  const Probe probe = open_meter(host, "tasmota:" + server.address());
  ASSERT_TRUE(probe.meter) << probe.why_not;
  std::vector<Reading> out(probe.meter->domains().size());
  slow = true;
  const auto begin = std::chrono::steady_clock::now();
  probe.meter->read(out);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2500ms);
  EXPECT_EQ(out[0].fault, Fault::timeout);
  slow = false;
  probe.meter->read(out);
  EXPECT_EQ(out[0].fault, Fault::none);
  EXPECT_EQ(out[0].value, 17'000'000);
}

TEST(Network, AddressesAreChecked) {
  EXPECT_EQ(parse_address("plug.local", "80").port, "80");
  EXPECT_EQ(parse_address("10.0.0.7:8080", "80").port, "8080");
  EXPECT_EQ(parse_address("[::1]:81", "80").host, "::1");
  for (const char* bad : {"", ":80", "host:", "host:0", "host:99999", "host:x", "a b", "host/path", "a\r\nb"})
    EXPECT_THROW(parse_address(bad, "80"), UsageError) << bad;
  EXPECT_THROW(parse_address("host", ""), UsageError);
  test::FakeHost host;
  EXPECT_NE(open_meter(host, "shelly:127.0.0.1:1").why_not.find("127.0.0.1"), std::string::npos);
}

TEST(Lines, AreThreeWords) {
  EXPECT_EQ(parse_line("usb 4.813 W")->value, 4'813'000);
  EXPECT_EQ(parse_line("  usb\t12 mJ\r")->value, 12'000);
  EXPECT_EQ(parse_line("usb 0.001 Wh")->value, 3'600'000);
  EXPECT_EQ(parse_line("usb -3 uW")->value, -3);
  for (const char* bad :
       {"", "usb", "usb 4", "usb 4 kW", "usb x W", "usb 4 W more", "# usb 4 W", "usb inf W", "usb 1e300 W"})
    EXPECT_FALSE(parse_line(bad)) << bad;
}

TEST(Lines, OfAnInstrumentOverTcp) {
  Server* self = nullptr;
  std::atomic<bool> hang_up = false;
  Server server([&](int fd, const std::string&) {
    for (int i = 0; !self->stopping() && !hang_up; ++i) {
      send_text(fd, fmt::format("# comment\nusb {} W\nnonsense\n", 5 + i % 2));
      std::this_thread::sleep_for(20ms);
    }
  });
  self = &server;
  RealHost host;
  const Probe probe = open_meter(host, "line:tcp:" + server.address());
  ASSERT_TRUE(probe.meter) << probe.why_not;
  ASSERT_EQ(probe.meter->domains().size(), 1u);
  EXPECT_TRUE(probe.meter->domains()[0].in_total);
  Reading out[1];
  probe.meter->read(out);
  EXPECT_EQ(out[0].fault, Fault::none);
  EXPECT_TRUE(out[0].value == 5'000'000 || out[0].value == 6'000'000);
  hang_up = true;
  for (int i = 0; i < 100 && out[0].fault == Fault::none; ++i) {
    std::this_thread::sleep_for(20ms);
    probe.meter->read(out);
  }
  EXPECT_EQ(out[0].fault, Fault::gone);
}

// A serial port in the form of a pseudo-terminal; the other end is the test's.
class SerialPort {
 public:
  SerialPort() : master_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    if (master_ >= 0 && ::grantpt(master_) == 0 && ::unlockpt(master_) == 0) path_ = ::ptsname(master_);
  }
  ~SerialPort() { close(); }
  bool good() const { return !path_.empty(); }
  const std::string& path() const { return path_; }
  void send(const std::string& text) const {
    [[maybe_unused]] const ssize_t sent = ::write(master_, text.data(), text.size());
  }
  void close() {
    if (master_ >= 0) ::close(master_);
    master_ = -1;
  }

 private:
  int master_;
  std::string path_;
};

TEST(Lines, OfAnInstrumentOnASerialPort) {
  SerialPort port;
  if (!port.good()) GTEST_SKIP() << "this machine gives no pseudo-terminal";
  test::FakeHost host;
  // Nobody speaks: the search ends.
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_NE(open_meter(host, "line:" + port.path()).why_not.find("no line"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
  std::atomic<bool> speaks = true;
  std::thread instrument([&] {
    while (speaks) {
      port.send("board 2.5 W\nboard 12.5 J\nboard twelve W\n");
      std::this_thread::sleep_for(20ms);
    }
  });
  const Probe probe = open_meter(host, "line:" + port.path() + "@9600");
  speaks = false;
  instrument.join();
  ASSERT_TRUE(probe.meter) << probe.why_not;
  ASSERT_EQ(probe.meter->domains().size(), 2u);
  Reading out[2];
  probe.meter->read(out);
  EXPECT_EQ(out[0].value, 2'500'000);
  EXPECT_EQ(out[1].value, 12'500'000);
  host.advance(6s);  // silence
  probe.meter->read(out);
  EXPECT_EQ(out[0].fault, Fault::timeout);
  port.close();  // unplugged
  for (int i = 0; i < 100 && out[0].fault != Fault::gone; ++i) {
    std::this_thread::sleep_for(20ms);
    probe.meter->read(out);
  }
  EXPECT_EQ(out[0].fault, Fault::gone);
}

TEST(Lines, OfAPortThatIsNotThere) {
  test::FakeHost host;
  EXPECT_NE(open_meter(host, "line:/dev/no-such-port").why_not.find("no-such-port"), std::string::npos);
  EXPECT_THROW(open_meter(host, "line:/dev/null@123"), UsageError);
  EXPECT_NE(open_meter(host, "line:/dev/null").why_not.find("no line"), std::string::npos);
}

}  // namespace
}  // namespace eke::energy
