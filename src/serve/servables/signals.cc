#include "serve/servables/signals.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>

namespace tenon::serve {
namespace {

// Read by the handler: nothing but lock-free atomics. An entry is an eventfd + 1, or 0.
std::array<std::atomic<int>, 16> g_events, g_requests;
std::atomic<int> g_signals{0};

std::mutex g_mutex;  // guards the rest
int g_watches = 0;
struct sigaction g_old_term, g_old_int, g_old_hup, g_old_usr1;

void Handle(int signal) {
  const int saved = errno;
  if (signal == SIGHUP || signal == SIGUSR1) {
    const std::uint64_t what = signal == SIGHUP ? 1 : SignalWatch::kDumpRequest;
    for (const std::atomic<int>& entry : g_requests)
      if (entry.load() > 0) [[maybe_unused]]
        const ssize_t n = ::write(entry.load() - 1, &what, sizeof what);
    errno = saved;
    return;
  }
  if (g_signals.fetch_add(1) > 0) ::_exit(128 + signal);
  for (const std::atomic<int>& entry : g_events) {
    const int event = entry.load() - 1;
    const std::uint64_t one = 1;
    if (event >= 0) [[maybe_unused]]
      const ssize_t n = ::write(event, &one, sizeof one);
  }
  errno = saved;
}

}  // namespace

SignalWatch::SignalWatch(int event, int requests) {
  const std::lock_guard lock(g_mutex);
  for (std::size_t i = 0; i < g_events.size() && slot_ < 0; ++i)
    if (g_events[i].load() == 0) {
      g_events[i] = event + 1;
      g_requests[i] = requests + 1;
      slot_ = static_cast<int>(i);
    }
  if (g_watches++ > 0) return;
  g_signals = 0;
  struct sigaction action{};
  action.sa_handler = Handle;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGTERM, &action, &g_old_term);
  ::sigaction(SIGINT, &action, &g_old_int);
  ::sigaction(SIGHUP, &action, &g_old_hup);
  ::sigaction(SIGUSR1, &action, &g_old_usr1);
}

SignalWatch::~SignalWatch() {
  const std::lock_guard lock(g_mutex);
  if (slot_ >= 0) g_events[static_cast<std::size_t>(slot_)] = g_requests[static_cast<std::size_t>(slot_)] = 0;
  if (--g_watches > 0) return;
  ::sigaction(SIGTERM, &g_old_term, nullptr);
  ::sigaction(SIGINT, &g_old_int, nullptr);
  ::sigaction(SIGHUP, &g_old_hup, nullptr);
  ::sigaction(SIGUSR1, &g_old_usr1, nullptr);
}

}  // namespace tenon::serve
