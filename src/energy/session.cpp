// A session: one sampler thread a meter, and windows over what they read.
#include <time.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "energy/host.h"
#include "energy/series.h"

namespace eke::energy {

namespace {

using namespace std::chrono_literals;

constexpr Nanoseconds kLeastPeriod = 5ms, kUnknownRefreshPeriod = 10ms, kCounterPeriod = 100ms,
                      kGreatestPeriod = 1s;
constexpr Nanoseconds kLongestWait = 5s, kPatience = 1s;

// Twice a refresh for power, which changes unseen otherwise; counters only need to be seen before they wrap, and
// often enough to show a peak.
Nanoseconds default_period(const Meter& meter) {
  Nanoseconds period = kGreatestPeriod;
  for (const Domain& domain : meter.domains()) {
    const Nanoseconds wanted = domain.quantity == Quantity::energy
                                   ? std::max(10 * domain.refresh, kCounterPeriod)
                               : domain.refresh == 0ns ? kUnknownRefreshPeriod
                                                       : domain.refresh / 2;
    period = std::min(period, std::max(wanted, kLeastPeriod));
  }
  return period;
}

Nanoseconds thread_cpu_time() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + Nanoseconds(t.tv_nsec);
}

class Channel {
 public:
  Channel(std::unique_ptr<Meter> meter, const SessionOptions& options)
      : meter_(std::move(meter)),
        cpu_share_(options.cpu_share),
        base_period_(options.period > 0ns ? options.period : default_period(*meter_)),
        period_(base_period_),
        buffer_(meter_->domains().size()),
        started_(raw_time()) {
    for (const Domain& domain : meter_->domains()) series_.emplace_back(domain, period_);
    thread_ = std::thread([this] { sample(); });
  }

  ~Channel() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  void read_edge() {
    const std::lock_guard lock(mutex_);
    read(true);
  }

  // The sampler reads one refresh after the edge of a window, which bounds what the counter had not yet shown.
  void follow(Nanoseconds edge) {
    const std::lock_guard lock(mutex_);
    follow_ = edge + refresh();
    due_ = std::min(due_, follow_);
    wake_.notify_all();
  }

  // Reads until all domains have been refreshed since `to`, or have failed.
  void settle(Nanoseconds to) {
    const Nanoseconds ready = to + std::min(refresh(), kLongestWait), deadline = ready + kPatience;
    while (true) {
      const Nanoseconds now = raw_time();
      if (now < ready) std::this_thread::sleep_for(ready - now);
      const std::lock_guard lock(mutex_);
      if (settled(to) || raw_time() > deadline) return;
      read(true);
      const bool over = std::all_of(buffer_.begin(), buffer_.end(), [](const Reading& r) {
        return r.fault == Fault::gone || r.fault == Fault::denied || r.fault == Fault::over;
      });
      if (settled(to) || over) return;
    }
  }

  void integrate(Nanoseconds from, Nanoseconds to, std::vector<DomainEnergy>& out) {
    const std::lock_guard lock(mutex_);
    const double seconds = std::chrono::duration<double>(to - from).count();
    for (std::size_t i = 0; i < series_.size(); ++i) {
      const Integral integral = series_[i].integrate(from, to);
      DomainEnergy d;
      d.meter = meter_->name();
      d.domain = meter_->domains()[i];
      d.samples = integral.samples;
      d.missed = integral.missed;
      d.largest_gap = integral.largest_gap;
      d.why_not = integral.why_not;
      d.note = integral.note;
      if (integral.energy_uj) {
        d.joules = *integral.energy_uj * 1e-6;
        d.bound_j = integral.bound_uj * 1e-6;
        d.mean_w = *d.joules / seconds;
        d.peak_w = integral.peak_uw * 1e-6;
      }
      out.push_back(std::move(d));
    }
  }

  SamplerCost cost() {
    const std::lock_guard lock(mutex_);
    SamplerCost cost;
    cost.meter = meter_->name();
    cost.reads = reads_;
    cost.period = period_;
    const double wall = std::chrono::duration<double>(raw_time() - started_).count();
    cost.cpu_share = wall > 0 ? std::chrono::duration<double>(cpu_).count() / wall : 0;
    cost.read_seconds =
        reads_ > 0 ? std::chrono::duration<double>(read_time_).count() / static_cast<double>(reads_) : 0;
    return cost;
  }

  const Meter& meter() const noexcept { return *meter_; }
  void moved(std::uint64_t bytes) { meter_->moved(bytes); }

 private:
  Nanoseconds refresh() const {
    Nanoseconds longest{0};
    for (const Domain& domain : meter_->domains()) longest = std::max(longest, domain.refresh);
    return longest;
  }

  bool settled(Nanoseconds to) const {
    return std::all_of(series_.begin(), series_.end(), [&](const Series& s) { return s.settled(to); });
  }

  void read(bool pinned) {
    const Nanoseconds begin = raw_time();
    meter_->read(buffer_);
    read_time_ += raw_time() - begin;
    ++reads_;
    for (std::size_t i = 0; i < series_.size(); ++i) series_[i].add(buffer_[i], pinned);
  }

  // Between half and three halves of the period: a load that repeats at the rate of the samples would be seen at one
  // of its phases only.
  Nanoseconds jittered() {
    random_ = random_ * 6364136223846793005ull + 1442695040888963407ull;
    const double share = 0.5 + static_cast<double>(random_ >> 11) * 0x1p-53;
    return Nanoseconds(static_cast<std::int64_t>(static_cast<double>(period_.count()) * share));
  }

  void sample() {
    std::unique_lock lock(mutex_);
    std::int64_t own_reads = 0;
    while (!stop_) {
      read(false);
      cpu_ = thread_cpu_time();
      const double each = static_cast<double>(cpu_.count()) / static_cast<double>(++own_reads);
      period_ = std::max(base_period_, Nanoseconds(static_cast<std::int64_t>(each / cpu_share_)));
      for (Series& series : series_) series.set_period(period_);
      const Nanoseconds now = raw_time();
      due_ = now + jittered();
      // The edge of a window may have come before this reading, and may come while the sampler sleeps.
      if (follow_ > now) due_ = std::min(due_, follow_);
      while (!stop_ && raw_time() < due_) wake_.wait_for(lock, due_ - raw_time());
    }
  }

  std::unique_ptr<Meter> meter_;
  double cpu_share_;
  Nanoseconds base_period_, period_;
  std::vector<Series> series_;
  std::vector<Reading> buffer_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  Nanoseconds due_{0}, follow_{0}, started_, cpu_{0}, read_time_{0};
  std::int64_t reads_ = 0;
  std::uint64_t random_ = 1;
  std::thread thread_;
};

}  // namespace

struct Session::State {
  std::vector<std::unique_ptr<Channel>> channels;
};

struct Window::State {
  std::shared_ptr<Session::State> session;
  std::string name;
  Nanoseconds begin{0}, end{0};  // end 0: open
};

Session::Session(std::vector<std::unique_ptr<Meter>> meters, const SessionOptions& options)
    : state_(std::make_shared<State>()) {
  for (auto& meter : meters) state_->channels.push_back(std::make_unique<Channel>(std::move(meter), options));
}

Session::~Session() = default;

Window Session::begin(std::string name) {
  for (auto& channel : state_->channels) channel->read_edge();
  auto state = std::make_unique<Window::State>();
  state->session = state_;
  state->name = std::move(name);
  state->begin = raw_time();
  for (auto& channel : state_->channels) channel->follow(state->begin);
  return Window(std::move(state));
}

std::vector<SamplerCost> Session::costs() const {
  std::vector<SamplerCost> costs;
  for (const auto& channel : state_->channels) costs.push_back(channel->cost());
  return costs;
}

Nanoseconds Session::refresh() const {
  Nanoseconds refresh{0};
  for (const auto& channel : state_->channels) {
    for (const Domain& domain : channel->meter().domains()) refresh = std::max(refresh, domain.refresh);
  }
  return refresh;
}

bool Session::empty() const noexcept { return state_->channels.empty(); }

void Session::moved(std::uint64_t bytes) {
  for (auto& channel : state_->channels) channel->moved(bytes);
}

Window::Window(std::unique_ptr<State> state) : state_(std::move(state)) {}
Window::~Window() = default;
Window::Window(Window&&) noexcept = default;
Window& Window::operator=(Window&&) noexcept = default;

void Window::end() {
  if (state_->end != 0ns) return;
  for (auto& channel : state_->session->channels) channel->read_edge();
  state_->end = raw_time();
  for (auto& channel : state_->session->channels) channel->follow(state_->end);
}

WindowResult Window::result() {
  end();
  WindowResult result;
  result.name = state_->name;
  result.seconds = std::chrono::duration<double>(state_->end - state_->begin).count();
  for (auto& channel : state_->session->channels) {
    channel->settle(state_->end);
    channel->integrate(state_->begin, state_->end, result.domains);
  }
  return result;
}

}  // namespace eke::energy
