// The region that an earlier run left, torn at any place, and the file that usage is kept in:
// read or refused, nothing outside is looked at, and what is read can be sent and carried on.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <new>

#include "fuzz/expect.h"
#include "session/survival/salvage.h"

namespace sluice::fuzz {
namespace {

constexpr std::uint32_t kEvents = 16;
constexpr SessionIndex kMetered = 7, kOpen = 9;

struct Sink final : EventSink {
  bool push(const Event& event) noexcept override {
    expect(event.session < kBuckets);
    expect(event.kind >= EventKind::Usage && event.kind <= EventKind::Inactivity);
    return true;
  }
  void remember(SessionView&) noexcept override {}
  std::uint64_t realtime_offset() const noexcept override { return 1'700'000'000'000'000'000; }
  void schedule(TimerNode&, Nanoseconds) noexcept override {}
  void cancel(TimerNode&) noexcept override {}
};

/// Two sets and two URRs, the second with a clock.
struct Metered {
  Account account{};
  UsageSet sets[2]{};
  UrrState urrs[2]{};
  UrrClock clock{};
  explicit Metered(SessionIndex session) {
    account.bytes = sizeof(Metered);
    account.session = session;
    account.urr_count = 2;
    account.set_count[0] = account.set_count[1] = account.clock_count = 1;
    for (UsageSet& set : sets) set = {.urrs = 3, .granted = 5000, .left = 0, .packets = 0};
    for (unsigned i = 0; i < 2; ++i) {
      urrs[i] = {.id = i + 1, .flags = kUrrVolume, .definition = 77 + i};
      for (unsigned v = 0; v < 3; ++v) urrs[i].threshold[v] = urrs[i].quota_left[v] = kUnlimited;
    }
    urrs[1].clock = 1;
    urrs[1].flags |= kUrrDuration;
    clock = {kNever, 1'000'000, kNever, kNever, 0, 5, 2'000'000, 3, 0};
  }
};
static_assert(sizeof(Metered) % 8 == 0);

/// A small region as a run leaves it: all places that a mutation may hit.
struct Leftover {
  std::unique_ptr<Region> region;
  UsageDirectory* directory;
  Flow* flows[kDirections];
  Metered* metered;
  SpscRing<Event>* events;
  UsageJournal* journal;

  Leftover() {
    RegionOptions options;
    options.bytes = 512 << 10;
    options.pages = PagePolicy::Off;
    auto made = Region::create(options);
    expect(static_cast<bool>(made));
    region = std::move(made).value();
    directory = region->allocate_array<UsageDirectory>(1);
    for (Flow*& array : flows) array = region->allocate_array<Flow>(kBuckets);
    metered = new (region->allocate(sizeof(Metered))) Metered(kMetered);
    events = SpscRing<Event>::create(region->allocate(SpscRing<Event>::bytes(kEvents)), kEvents);
    journal = new (region->allocate(sizeof(UsageJournal))) UsageJournal;
    *directory = {usage_layout(), 1, 1, 5, 0, 1};
    for (unsigned d = 0; d < kDirections; ++d) {
      directory->flows[d] = region->offset(flows[d]);
      Flow& flow = flows[d][kMetered];
      flow.state.flags = kFlowLive;
      flow.state.account = static_cast<ArenaRef>(region->offset(metered) / 8);
      flow.state.usage_left = 3000;
      flow.state.usage_packets = 2;
      flow.rules.incarnation = 1;
    }
    directory->worker[0] = {region->offset(events), region->offset(journal)};
    for (unsigned i = 0; i < 5; ++i) {
      Event event{};
      event.kind = EventKind::Usage;
      event.session = kMetered;
      event.incarnation = 1;
      event.id = 1;
      event.sequence = i;
      events->enqueue_burst(&event, 1);
    }
    Metered before(kOpen);
    SessionView view{kOpen, {&flows[0][kOpen], &flows[1][kOpen]}, &before.account};
    journal->open(view, 4);
    region->name_section(RegionSection::Usage, directory, sizeof(UsageDirectory));
  }
  /// Parts that tell where things are are hit more often than their size would have it.
  std::span<std::byte> part(unsigned which) {
    const auto bytes = [](auto* at, std::size_t n) {
      return std::span(reinterpret_cast<std::byte*>(at), n);
    };
    switch (which % 6) {
      case 0:
        return bytes(directory, sizeof(UsageDirectory));
      case 1:
        return bytes(&flows[0][kMetered], sizeof(Flow));
      case 2:
        return bytes(metered, sizeof(Metered));
      case 3:
        return bytes(events, SpscRing<Event>::bytes(kEvents));
      case 4:
        return bytes(journal, 256 + sizeof(Metered));
      default:
        return bytes(flows[1], sizeof(Flow) * kBuckets);
    }
  }
};

void carry_on(Salvage& salvage) {
  Sink sink;
  salvage.send_events(1, sink);
  for (const SessionIndex index : {kMetered, kOpen}) {
    Metered fresh(index);
    Flow flows[kDirections]{};
    for (Flow& flow : flows) flow.rules.incarnation = 1;
    SessionView view{index, {&flows[0], &flows[1]}, &fresh.account};
    salvage.carry_on(view, 1, 50, sink);
    usage_due(view, 3'000'000, sink);
    for (unsigned i = 0; i < 2; ++i) usage_report(view, fresh.urrs[i], 0, 0, 4'000'000, sink);
  }
}

/// What was saved is loaded, and with any of its octets changed loaded or refused.
void check_file(const Salvage& salvage, const std::uint8_t* data, std::size_t size) {
  static const std::string path = "/dev/shm/sluice-salvage-fuzz-" + std::to_string(getpid());
  expect(static_cast<bool>(salvage.save(path, false)));
  Salvage again;
  expect(static_cast<bool>(again.load(path)));
  expect(again.sessions() == salvage.sessions() && again.events() == salvage.events());
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  expect(fd >= 0);
  const off_t length = lseek(fd, 0, SEEK_END);
  for (; size >= 3; data += 3, size -= 3) {
    expect(pwrite(fd, data + 2, 1, (data[0] << 8 | data[1]) % length) == 1);
  }
  if (size != 0) expect(ftruncate(fd, data[0] % length) == 0);
  close(fd);
  Salvage torn;
  if (torn.load(path)) carry_on(torn);
  unlink(path.c_str());
}

}  // namespace
}  // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::fuzz;
  static Leftover leftover;
  static const std::vector<std::byte> whole(leftover.region->base(),
                                            leftover.region->base() + leftover.region->used());
  // Whole, it is read: two sessions, one of them out of an open step, and what came before it.
  static const bool is_read = [] {
    Salvage salvage;
    return salvage.read(*leftover.region, 0) && salvage.sessions() == 2 && salvage.events() == 4;
  }();
  expect(is_read);
  if (size == 0) return 0;
  std::memcpy(leftover.region->base(), whole.data(), whole.size());
  std::size_t at = 1;
  for (unsigned changes = data[0] & 31; changes > 0 && at + 4 <= size; --changes, at += 4) {
    const auto part = leftover.part(data[at]);
    part[(data[at + 1] << 8 | data[at + 2]) % part.size()] = std::byte{data[at + 3]};
  }
  Salvage salvage;
  if (salvage.read(*leftover.region, 0)) {
    expect(salvage.sessions() <= kBuckets);
    carry_on(salvage);
    if (data[0] & 32) check_file(salvage, data + at, size - at);
  }
  return 0;
}
