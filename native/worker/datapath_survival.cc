// What lets usage outlive the process: the region is a file, what an earlier run left is taken
// over before the first packet, and an orderly stop leaves the same behind.
//
// Two things can hold the truth, one at a time. The snapshot, a file of the data folder, when
// it is there: from the moment it is made out of a region that nobody runs any more until
// end_restore() has seen everything of it in the store and in the new region. Else the region.
#include <sys/file.h>
#include <unistd.h>

#include <random>

#include "memory/region_place.h"
#include "port/afxdp/lent_pins.h"
#include "worker/datapath.h"

namespace sluice {
namespace {

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

/// Asks that nobody else has the file; held as long as the region is mapped.
bool lock(const Region& region) { return flock(region.fd(), LOCK_EX | LOCK_NB) == 0; }

constexpr const char* kGivenUp =
    "; what was counted and not reported before the last stop is given up";

}  // namespace

Status Datapath::read_leftover(const std::string& path, bool wanted) {
  auto old = Region::attach(path);
  if (old && !lock(*old.value())) {
    return Error{"another process uses " + path +
                     ", which belongs to this data folder; was the folder copied?",
                 "store.path"};
  }
  if (!wanted) return Ok{};
  Salvage found;
  Status taken = Ok{};
  if (old) {
    // Its process has ended, since nobody has the lock.
    const auto lent = take_lent_usage(config_.survival.name, Salvage::run_of(*old.value()));
    taken = found.read(*old.value(), quiet_sink_.realtime_offset(), lent);
  } else {
    taken = old.error();
  }
  if (!taken) {
    warnings_.push_back("usage of the last run in " + path + ": " + taken.error().message +
                        kGivenUp);
  } else if (found.started() > salvage_->started()) {
    // Of several only the last one holds the truth.
    *salvage_ = std::move(found);
  }
  return Ok{};
}

Status Datapath::take_over_usage() {
  const SurvivalConfig& survival = config_.survival;
  if (survival.name.empty()) return Ok{};
  salvage_ = std::make_unique<Salvage>();
  const auto leftovers = region_leftovers(machine_mounts(), survival.name);
  // A region beside a snapshot was on its way to replace it, and was never in use.
  const bool snapshot = exists(survival.snapshot);
  for (const std::string& path : leftovers) {
    if (Status read = read_leftover(path, !snapshot); !read) return read;
  }
  if (snapshot) {
    if (Status loaded = salvage_->load(survival.snapshot); !loaded) {
      warnings_.push_back("usage of the last run: " + loaded.error().message + kGivenUp);
    }
  } else if (salvage_->started() != 0) {
    // Nothing is removed before this: the next start finds it all again.
    if (Status saved = salvage_->save(survival.snapshot, false); !saved) {
      return Error{saved.error().message + ", which takes the usage of the last run", "store.path"};
    }
  }
  for (const std::string& path : leftovers) {
    if (unlink(path.c_str()) != 0 && exists(path)) {
      return Error{"cannot remove " + path + ", the memory of the last run; remove it",
                   "store.path"};
    }
  }
  remove_lent_pins(survival.name);
  if (salvage_->unreadable() != 0) {
    warnings_.push_back("usage of " + std::to_string(salvage_->unreadable()) +
                        " sessions and reports of the last run made no sense" + kGivenUp);
  }
  return Ok{};
}

Result<std::unique_ptr<Region>> Datapath::make_region(RegionOptions options) {
  const SurvivalConfig& survival = config_.survival;
  if (survival.name.empty()) return Region::create(options);
  const auto mounts = machine_mounts();
  std::string why = "no hugetlbfs with such pages is mounted";
  for (const std::string& path : region_places(mounts, survival.name, options.pages)) {
    options.path = path;
    auto made = Region::create(options);
    if (made && lock(*made.value())) {
      region_path_ = path;
      const bool small = made.value()->pages() == PageKind::Small ||
                         made.value()->pages() == PageKind::Transparent;
      constexpr std::size_t kHuge = std::size_t{2} << 20;
      if (small && options.pages == PagePolicy::Auto && free_huge_pages() * kHuge > options.bytes) {
        warnings_.push_back(
            "huge pages are free, but this process can make no file of them: packet memory is on "
            "small pages, so that usage survives a crash; `mkdir -p /dev/hugepages && mount -t "
            "hugetlbfs -o pagesize=2M none /dev/hugepages`, writable for this user, gives both");
      }
      return made;
    }
    if (!made) why = made.error().message;
  }
  options.path.clear();
  auto made = Region::create(options);
  if (made) {
    warnings_.push_back("usage that is not reported yet would not survive a crash: " + why +
                        (options.pages == PagePolicy::Auto || options.pages == PagePolicy::Off
                             ? "; make /dev/shm larger, as with `mount -o remount,size=4G "
                               "/dev/shm`, or lower limits.sessions"
                             : "; `mkdir -p /dev/hugepages && mount -t hugetlbfs -o pagesize=" +
                                   std::string(options.pages == PagePolicy::k1G ? "1G" : "2M") +
                                   " none /dev/hugepages`, writable for this user, mends it"));
  }
  return made;
}

Status Datapath::make_usage_directory() {
  directory_ = region_->allocate_array<UsageDirectory>(1);
  if (directory_ == nullptr) return Error{"the memory region is too small", "limits.sessions"};
  std::random_device random;
  directory_->layout = usage_layout();
  directory_->slots_per_bucket = config_.sessions.slots_per_bucket;
  directory_->run = random() | 1;
  directory_->started = Clock::machine().now() + Clock::machine().realtime_offset();
  for (unsigned d = 0; d < kDirections; ++d) {
    directory_->flows[d] = region_->offset(sessions_->flows(static_cast<Direction>(d)));
  }
  region_->name_section(RegionSection::Usage, directory_, sizeof(UsageDirectory));
  for (unsigned i = 0; i < config_.ports.size() && !region_path_.empty(); ++i) {
    PortConfig& port = config_.ports[i];
    if (port.forward_in_driver) {
      port.lent_pin = lent_pin(config_.survival.name, directory_->run, i);
    }
  }
  return Ok{};
}

void Datapath::enter_worker(unsigned worker) {
  static_assert(kWorkersMax <= kUsageWorkersMax);
  directory_->worker[worker] = {region_->offset(workers_[worker]->events()),
                                region_->offset(workers_[worker]->journal())};
  directory_->workers = worker + 1;
}

void Datapath::already_written(const Event* events, unsigned count) {
  for (unsigned i = 0; salvage_ != nullptr && i < count; ++i) salvage_->written(events[i]);
}

void Datapath::send_salvaged_events() {
  if (salvage_ == nullptr || salvage_sent_) return;
  salvage_sent_ = true;
  salvage_->send_events(config_.sessions.slots_per_bucket, quiet_sink_);
}

void Datapath::carry_on(SessionIndex session, Nanoseconds now) {
  if (salvage_ == nullptr) return;
  send_salvaged_events();
  SessionView view = sessions_->view(session);
  salvage_->carry_on(view, config_.sessions.slots_per_bucket, now, quiet_sink_);
}

Status Datapath::end_restore() {
  if (salvage_ == nullptr) return Ok{};
  if (salvage_->carried() < salvage_->sessions()) {
    warnings_.push_back("usage of " + std::to_string(salvage_->sessions() - salvage_->carried()) +
                        " sessions of the last run that the store doesn't have" + kGivenUp);
  }
  const std::string& snapshot = config_.survival.snapshot;
  // From here on the region holds the truth.
  if (unlink(snapshot.c_str()) != 0 && exists(snapshot)) {
    return Error{"cannot remove " + snapshot + ", whose usage would be counted twice",
                 "store.path"};
  }
  salvage_.reset();
  survives_ = true;
  return Ok{};
}

void Datapath::keep_usage() {
  if (survives_) {
    Salvage salvage;
    Status kept = salvage.read(*region_, quiet_sink_.realtime_offset());
    if (kept) kept = salvage.save(config_.survival.snapshot, true);
    // Then the region itself stays, as after a crash.
    if (!kept) return;
  }
  if (!region_path_.empty()) unlink(region_path_.c_str());
}

}  // namespace sluice
