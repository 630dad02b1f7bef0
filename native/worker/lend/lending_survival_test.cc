// A process that is killed while its flows are lent: the next one reports all that has passed.
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "memory/region_place.h"
#include "worker/lend/lending_fixture_test.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

class LendingSurvivalTest : public LendingTest {
 protected:
  /// What the process that is going to be killed tells.
  struct Told {
    std::atomic<bool> serves, fails;
    std::atomic<std::uint64_t> lent_flows, forwarded;
  };

  SurvivalConfig survival() const override { return {name_, (folder_ / "usage").string()}; }
  void SetUp() override {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
    GTEST_SKIP() << "ThreadSanitizer knows no threads of a process that was forked";
#endif
#endif
    fs::create_directories(folder_);
    void* const memory =
        ::mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    told_ = new (memory) Told{};
    if (!pin_folder().empty()) return;
    mounted_ = folder_ / "bpf";
    fs::create_directories(mounted_);
    if (::mount("bpf", mounted_.c_str(), "bpf", 0, nullptr) != 0) {
      mounted_.clear();
      GTEST_SKIP() << "no bpffs, nor the right to mount one";
    }
  }
  void TearDown() override {
    path_.reset();
    if (!mounted_.empty()) ::umount2(mounted_.c_str(), MNT_DETACH);
    if (told_ != nullptr) ::munmap(told_, sizeof(Told));
    fs::remove_all(folder_);
    fs::remove("/dev/shm/" + name_);
  }
  static std::string pin_folder() {
    for (const Mount& mount : machine_mounts()) {
      if (mount.type == "bpf") return mount.folder;
    }
    return {};
  }
  std::size_t pins() const {
    std::size_t found = 0;
    std::error_code error;
    for (const auto& file : fs::directory_iterator(pin_folder() + "/sluice", error)) {
      found += file.path().filename().string().starts_with(name_) ? 1 : 0;
    }
    return found;
  }

  /// A path that serves, with the session in it.
  void serve(const SessionSpec& wanted) {
    open();
    if (HasFatalFailure()) return;
    ASSERT_EQ(create(session(), wanted), PrepareStatus::Ok);
    ASSERT_TRUE(path_->end_restore());
    const Status started = path_->start();
    ASSERT_TRUE(started) << started.error().message;
  }
  /// Another process that serves until it is killed. Returns when it does.
  pid_t fork_node(const SessionSpec& wanted) {
    new (told_) Told{};
    const pid_t child = ::fork();
    if (child == 0) be_node(wanted);
    while (!told_->serves && ::waitpid(child, nullptr, WNOHANG) == 0) std::this_thread::yield();
    EXPECT_TRUE(told_->serves && !told_->fails);
    return child;
  }
  [[noreturn]] void be_node(const SessionSpec& wanted) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    serve(wanted);
    told_->fails = HasFailure();
    told_->serves = true;
    for (;;) {
      path_->step();
      const DatapathStatistics statistics = path_->statistics();
      told_->forwarded = statistics.forwarded_in_driver;
      told_->lent_flows = statistics.lent_flows;
    }
  }
  static void kill(pid_t node) {
    ASSERT_EQ(::kill(node, SIGKILL), 0);
    ASSERT_EQ(::waitpid(node, nullptr, 0), node);
  }

  /// No more is on its way than rings hold, unless nobody serves any more.
  void send_both() {
    while (told_->serves && (sent_[0] - next_[0] > 32 || sent_[1] - next_[1] > 32)) take_both();
    ran_->send(0x13, 3, gtpu(teid_, numbered({.bytes = 100}, sent_[0]++)));
    dn_->send(0x16, 6, numbered({.source = kServer, .destination = kUe, .bytes = 300}, sent_[1]++));
  }
  void take_both() {
    take(*dn_, 0, ETH_HLEN);
    take(*ran_, 1, ETH_HLEN + 44);
  }
  /// Until the driver has both flows, and nothing of them is on its way.
  void warm() {
    while (told_->lent_flows < 2 || told_->forwarded < 100) {
      send_both();
    }
    arrive();
  }
  void arrive() {
    while (next_[0] < sent_[0] || next_[1] < sent_[1]) take_both();
  }

  const std::string name_ = "sluice-lent-test-" + std::to_string(::getpid());
  const fs::path folder_ = fs::temp_directory_path() / (name_ + "-data");
  fs::path mounted_;
  Told* told_ = nullptr;
};

TEST_F(LendingSurvivalTest, AKilledRunLosesNothingThatWasLent) {
  between_far_ends([&] {
    for (unsigned run = 0; run < 3; ++run) {
      const pid_t node = fork_node(spec());
      ASSERT_FALSE(HasFailure());
      warm();
      for (unsigned i = 0; i < 500; ++i) send_both();
      arrive();
      EXPECT_EQ(pins(), 2U);
      kill(node);
    }
    EXPECT_EQ(came_[0], sent_[0]);
    EXPECT_EQ(came_[1], sent_[1]);
    serve(spec());
    ASSERT_FALSE(HasFailure());
    EXPECT_EQ(pins(), 2U) << "its own";
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    EXPECT_EQ(reported(0), bytes_[0]);
    EXPECT_EQ(reported(1), bytes_[1]);
    path_->stop();
    EXPECT_EQ(pins(), 0U);
  });
}

/// Wherever it is at that moment: at most a burst of each direction was counted and not sent.
TEST_F(LendingSurvivalTest, AKilledRunLosesNothingUnderTraffic) {
  const SessionSpec wanted = spec(1'000'000, 30'000);
  between_far_ends([&] {
    const pid_t node = fork_node(wanted);
    ASSERT_FALSE(HasFailure());
    warm();
    std::thread killer([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      kill(node);
      told_->serves = false;
    });
    while (told_->serves) send_both();
    killer.join();
    take_both();
    serve(wanted);
    ASSERT_FALSE(HasFailure());
    ASSERT_EQ(remove(session()), PrepareStatus::Ok);
    constexpr std::uint64_t kBurst = 64;
    EXPECT_GE(reported(0), bytes_[0]);
    EXPECT_LE(reported(0), bytes_[0] + kBurst * 100);
    EXPECT_GE(reported(1), bytes_[1]);
    EXPECT_LE(reported(1), bytes_[1] + kBurst * 300);
  });
}

TEST_F(LendingSurvivalTest, NothingIsLentThatACrashWouldLose) {
  if (mounted_.empty()) GTEST_SKIP() << "the machine's own bpffs stays";
  between_far_ends([&] {
    ASSERT_EQ(::umount2(mounted_.c_str(), MNT_DETACH), 0);
    serve(spec());
    ASSERT_FALSE(HasFailure());
    ASSERT_EQ(path_->warnings().size(), 2U);
    EXPECT_NE(path_->warnings()[0].find("port n3: its driver forwards nothing: a crash would lose"),
              std::string::npos);
    uplink(kWarm);
    EXPECT_EQ(path_->statistics().lent_flows, 0U);
    EXPECT_EQ(came_[0], sent_[0]);
    path_->stop();
  });
}

}  // namespace
}  // namespace sluice::test
