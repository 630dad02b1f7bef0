// The queues of received datagrams as a script of arrivals, turns and changes of peers, against
// plain lists: whatever is admitted comes once, whole, and in the order of its source and class;
// and what looks at octets of datagrams never looks behind them. Threads: one.
#include <cstdlib>
#include <deque>
#include <map>
#include <vector>

#include "datagram/heartbeat.h"
#include "datagram/queue/turns.h"
#include "fuzz/expect.h"

namespace sluice::datagram {
namespace {

using Bytes = std::vector<std::byte>;

class Script {
 public:
  /// The first octet of a step says what it does, the next ones how.
  void play(const std::byte* bytes, std::size_t n) {
    for (std::size_t at = 0; at + 4 <= n; at += 4) step(bytes + at);
    while (turns_.waiting() > 0) serve();
    for (const auto& [key, queue] : expected_) fuzz::expect(queue.empty());
  }

 private:
  static constexpr std::uint32_t kChunks = 1024;
  static constexpr std::size_t kRingBytes = DatagramRing::kBytesMin;

  void step(const std::byte* bytes) {
    const auto what = static_cast<std::uint8_t>(bytes[0]);
    const auto detail = static_cast<std::uint8_t>(bytes[1]);
    if (what < 200) {
      arrive(what, detail, wire::load16(bytes + 2));
    } else if (what < 240) {
      serve();
    } else {
      // Their order may change; who is a peer does not, since that may change the order of what
      // waits (turns.h).
      turns_.set_peers(detail % 2 == 0 ? peers_
                                       : std::vector<Peer>(peers_.rbegin(), peers_.rend()));
    }
  }

  void arrive(std::uint8_t from, std::uint8_t type, std::uint16_t size) {
    // Mostly of usual sizes, and now and then the largest.
    const std::size_t length = size > 65'000 ? kDatagramBytesMax : size % 3000;
    Bytes bytes(length, static_cast<std::byte>(++number_));
    if (length > 1) bytes[1] = static_cast<std::byte>(type);
    Header header;
    header.family = from % 2 == 0 ? 4 : 6;
    header.address[0] = from;
    header.length = static_cast<std::uint32_t>(length);
    header.datagram_class = static_cast<std::uint32_t>(class_of(bytes.data(), length));
    header.port = number_ & 0xffff;
    is_heartbeat_request(bytes.data(), length);
    if (turns_.add(header, bytes.data(), 0)) {
      expected_[{from, header.datagram_class}].emplace_back(header.port, std::move(bytes));
    }
  }

  void serve() {
    turns_.serve(ring_, 0);
    while (const Header* const header = ring_.next()) {
      auto& queue =
          expected_[{static_cast<std::uint8_t>(header->address[0]), header->datagram_class}];
      fuzz::expect(!queue.empty());
      const auto& [port, bytes] = queue.front();
      fuzz::expect(header->port == port && header->length == bytes.size());
      fuzz::expect(header->offset + header->length <= kRingBytes);
      fuzz::expect(bytes.empty() ||
                   std::memcmp(DatagramRing::payload(header), bytes.data(), bytes.size()) == 0);
      queue.pop_front();
    }
    ring_.release();
  }

  static std::vector<Peer> some_peers() {
    std::vector<Peer> out;
    for (std::uint32_t i = 0; i < 8; ++i) {
      out.push_back({{i % 2 == 0 ? 4u : 6u, {i, 0, 0, 0}}, std::make_shared<ShedCounts>()});
    }
    return out;
  }

  std::unique_ptr<std::byte, void (*)(void*)> memory_{
      static_cast<std::byte*>(std::aligned_alloc(kCacheLine, kRingBytes)), std::free};
  DatagramRing ring_{memory_.get(), kRingBytes};
  std::vector<Peer> peers_ = some_peers();
  Turns turns_ = with_peers(peers_);
  std::uint32_t number_ = 0;
  std::map<std::pair<std::uint8_t, std::uint32_t>, std::deque<std::pair<std::uint32_t, Bytes>>>
      expected_;

  static Turns with_peers(const std::vector<Peer>& peers) {
    Turns turns(kChunks, HalfSipHash<>(1, 2), std::make_shared<ShedCounts>());
    turns.set_peers(peers);
    return turns;
  }
};

}  // namespace
}  // namespace sluice::datagram

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* const bytes = reinterpret_cast<const std::byte*>(data);
  // In memory of its own size, so that a look behind the end is seen.
  const std::vector<std::byte> copy(bytes, bytes + size);
  sluice::datagram::class_of(copy.data(), copy.size());
  sluice::datagram::is_heartbeat_request(copy.data(), copy.size());
  sluice::datagram::Script().play(copy.data(), copy.size());
  return 0;
}
