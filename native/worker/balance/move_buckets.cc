// Buckets of sessions go from one worker to another while packets pass (docs/decisions/0044).
#include "worker/balance/standstill.h"
#include "worker/datapath.h"

namespace sluice {

BucketMove Datapath::move_buckets(std::span<const std::uint8_t> buckets, unsigned to) {
  if (!running_ || to >= workers_.size()) return BucketMove::NoWorker;
  for (const Lane& lane : lanes_) {
    // They would reach a worker that their session has left.
    if (!lane.waiting.empty()) return BucketMove::Busy;
  }
  const auto standstill = Standstill::begin(workers_, !threads_.empty(), now());
  if (standstill == nullptr || !standstill->settle()) return BucketMove::Busy;
  // Nobody waits for one who waits for another: a circle would never end.
  for (const auto& worker : workers_)
    if (worker->is_in_line()) return BucketMove::Busy;
  for (unsigned w = 0; w < workers_.size(); ++w) {
    std::array<bool, kBuckets> leaving{};
    bool any = false;
    for (const std::uint8_t b : buckets) any |= leaving[b] = bucket_owner_[b] == w && w != to;
    if (!any) continue;
    if (const BucketMove moved = move_from(w, to, leaving); moved != BucketMove::Done) return moved;
  }
  steer(to);
  return BucketMove::Done;
}

/// What a worker has of some buckets, all of it or nothing.
BucketMove Datapath::move_from(unsigned from, unsigned to,
                               const std::array<bool, kBuckets>& leaving) {
  Worker& old_owner = *workers_[from];
  Worker& owner = *workers_[to];
  // Changes that found no room for their reports would be applied by the old owner, events that
  // nobody has taken yet would come behind those of the new one, and what is on its way out of a
  // held list stays in line.
  if (old_owner.completed() != lanes_[from].issued || old_owner.has_events() ||
      old_owner.pipeline().has_held_work()) {
    return BucketMove::Busy;
  }
  const std::uint32_t slots = sessions_->scheme().sessions() / kBuckets;
  const auto each = [&](auto&& f) {
    for (unsigned b = 0; b < kBuckets; ++b) {
      if (!leaving[b]) continue;
      for (SessionIndex s = b * slots; s < (b + 1) * slots; ++s)
        if (sessions_->is_there(s)) f(s);
    }
  };
  unsigned held = 0;
  if (holds_[from]->count() != 0) each([&](SessionIndex s) { held += old_owner.held_by(s); });
  if (!owner.has_room_to_hold(held)) return BucketMove::NoRoom;
  each([&](SessionIndex s) { old_owner.give(s, owner); });
  old_owner.give_reports(leaving, owner);
  owner.pipeline().settle_holds();
  old_owner.pipeline().settle_holds();
  for (unsigned b = 0; b < kBuckets; ++b) {
    if (!leaving[b]) continue;
    bucket_owner_[b] = static_cast<std::uint8_t>(to);
    ++buckets_taken_[to];
  }
  return BucketMove::Done;
}

/// Has the kernel bring a worker's packets to it. It receives none until those that had the buckets
/// have handed over what the kernel brought them, so that nothing is overtaken.
void Datapath::steer(unsigned to) {
  auto owners = steered_;
  std::array<bool, kWorkersMax> loses{};
  for (unsigned b = 0; b < kBuckets; ++b) {
    if (bucket_owner_[b] != to || steered_[b] == to) continue;
    loses[steered_[b]] = true;
    owners[b] = static_cast<std::uint8_t>(to);
  }
  if (owners == steered_) return;
  bool is_steered = false;
  for (const auto& port : ports_) is_steered |= port->steer(owners);
  steered_ = owners;
  if (!is_steered) return;
  for (unsigned w = 0; w < workers_.size(); ++w)
    if (loses[w]) workers_[to]->wait_for(*workers_[w]);
}

}  // namespace sluice
