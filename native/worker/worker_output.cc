// What leaves a worker: transmit, hand-off, and held packets that are let go.
#include "worker/worker.h"

namespace sluice {
namespace {

/// Held packets that leave in one loop: more than it receives by one port.
constexpr unsigned kDrainPerLoop = 128;

}  // namespace

void Worker::transmit() noexcept {
  transmit_lists();
  if (pipeline_.emit_trailers()) transmit_lists();
}

void Worker::transmit_lists() noexcept {
  if (!config_.pipeline.protections->empty()) pipeline_.seal_outputs();
  for (std::size_t i = 0; i < config_.queues.size(); ++i) {
    PacketList& list = pipeline_.output(config_.ports[i]);
    if (list.count == 0) continue;
    BurstObserver* const observer = pipeline_.observer();
    if (__builtin_expect(observer != nullptr, 0)) {
      observer->sending(config_.ports[i], list.packets, list.count, pipeline_.now());
    }
    const unsigned sent = config_.queues[i]->tx(list.packets, list.count);
    if (__builtin_expect(observer != nullptr, 0)) observer->sent(sent);
    if (sent < list.count) {
      pipeline_.drop(list.packets + sent, list.count - sent, DropReason::TxFull);
    }
    list.count = 0;
    config_.queues[i]->flush();
  }
}

void Worker::hand_over() noexcept {
  for (unsigned w = 0; w < config_.workers; ++w) {
    PacketList& list = pipeline_.handoff(w);
    if (list.count == 0) continue;
    const unsigned sent = outgoing_[w] ? outgoing_[w]->enqueue_burst(list.packets, list.count) : 0;
    if (sent < list.count) {
      pipeline_.drop(list.packets + sent, list.count - sent, DropReason::HandoffFull);
    }
    list.count = 0;
    if (sent != 0) others_[w]->wake();
  }
}

/// Held packets leave by bursts, because the outputs have room for no more at a time.
unsigned Worker::drain_held(Nanoseconds now) noexcept {
  unsigned total = 0;
  for (unsigned n = 1; n != 0 && total < kDrainPerLoop; total += n) {
    n = pipeline_.drain_held(now);
    transmit();
  }
  return total;
}

}  // namespace sluice
