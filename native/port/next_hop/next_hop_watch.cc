#include "port/next_hop/next_hop_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iterator>

#include "base/topology.h"

namespace sluice {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// News comes in swarms: one table for all of it.
constexpr milliseconds kSettle{5};
/// Below the 30 s for which the kernel takes a neighbour for reachable without a sign of it.
constexpr milliseconds kConfirmEvery{10'000};
constexpr milliseconds kRetryAfter{200};

}  // namespace

void NextHopBox::put(std::shared_ptr<const NextHops> hops) {
  auto* const letter = new std::shared_ptr<const NextHops>(std::move(hops));
  // Release: pairs with the acquire in fetch(). Acquire: what comes back is deleted here.
  delete letter_.exchange(letter, std::memory_order_acq_rel);
}

void NextHopBox::fetch() noexcept {
  auto* const letter = letter_.exchange(nullptr, std::memory_order_acq_rel);
  if (letter == nullptr) return;
  current_ = std::move(*letter);
  delete letter;
}

Result<std::unique_ptr<NextHopWatch>> NextHopWatch::start(unsigned interface, unsigned boxes) {
  auto kernel = KernelTables::open(interface);
  if (!kernel) return kernel.error();
  std::unique_ptr<NextHopWatch> watch(new NextHopWatch);
  watch->kernel_ = std::move(kernel).value();
  watch->stop_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (watch->stop_ < 0) {
    return Error{"no file descriptor left to watch routes with: raise the limit of open files",
                 "driver"};
  }
  for (unsigned i = 0; i < boxes; ++i) watch->boxes_.push_back(std::make_unique<NextHopBox>());
  constexpr unsigned kTries = 5;  // tables that change are read again
  for (unsigned tries = 1; !watch->publish(); ++tries) {
    if (tries == kTries) {
      return Error{"the kernel does not tell its routes (rtnetlink); is this device still there?",
                   "device"};
    }
  }
  watch->link_ = watch->newest_->link;
  watch->thread_ = std::thread([raw = watch.get()] {
    name_this_thread("sluice-hops");
    raw->run();
  });
  return watch;
}

NextHopWatch::~NextHopWatch() {
  if (thread_.joinable()) {
    const std::uint64_t one = 1;
    (void)!::write(stop_, &one, sizeof one);
    thread_.join();
  }
  if (stop_ >= 0) ::close(stop_);
}

bool NextHopWatch::publish() {
  // Those that were used must not be forgotten with the table that knows it.
  if (newest_ != nullptr) confirm_used();
  std::shared_ptr<NextHops> hops = kernel_->read();
  if (hops == nullptr) return false;
  newest_ = std::move(hops);
  for (const auto& box : boxes_) box->put(newest_);
  return true;
}

void NextHopWatch::confirm_used() {
  for (const HopAddress& neighbour : newest_->table.take_used()) kernel_->confirm(neighbour);
}

void NextHopWatch::run() {
  auto next_confirm = steady_clock::now() + kConfirmEvery;
  bool is_due = false;  // a table is still to be made
  for (;;) {
    pollfd waits[] = {
        {stop_, POLLIN, 0}, {kernel_->fd(), POLLIN, 0}, {kernel_->target_fd(), POLLIN, 0}};
    const auto left = std::chrono::duration_cast<milliseconds>(next_confirm - steady_clock::now());
    const milliseconds pause = is_due ? kRetryAfter : std::max(left, milliseconds{0});
    ::poll(waits, std::size(waits), static_cast<int>(pause.count()));
    if (waits[0].revents != 0) return;
    if ((waits[1].revents | waits[2].revents) != 0) {
      ::poll(waits, 1, static_cast<int>(kSettle.count()));
      is_due = kernel_->take_news() || is_due;
    }
    if (is_due) is_due = !publish();
    if (steady_clock::now() >= next_confirm) {
      confirm_used();
      next_confirm = steady_clock::now() + kConfirmEvery;
    }
  }
}

}  // namespace sluice
