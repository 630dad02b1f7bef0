// What the node and its DPDK plug-in say to each other. The plug-in (plugin/) is a shared object of
// its own and the only one that links libdpdk; the node loads it when a port asks for it, and runs
// without it otherwise. Frames pass as chunks of the packet pool, which are the device's own
// buffers, too. Start at DpdkPlugin.
// Threads: everything on the control thread, but for receive() and send().
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "memory/packet.h"

namespace sluice {

/// Goes up with every change in this file. Node and plug-in of one build always agree.
inline constexpr std::uint32_t kDpdkInterface = 1;

/// The packet pool, as the plug-in sees it.
struct DpdkPool {
  std::byte* chunks;       ///< kChunkBytes each
  std::size_t bytes;       ///< of all chunks
  std::size_t page_bytes;  ///< of the memory that they are in
  void* const* caches;     ///< one for each queue, for the two functions
  unsigned queues;
  unsigned (*allocate)(void* cache, Packet** out, unsigned n) noexcept;
  void (*free)(void* cache, Packet* const* packets, unsigned n) noexcept;
};

struct DpdkRequest {
  const char* device;  ///< a PCI address or the name of a virtual device, with arguments
  unsigned mtu;        ///< 0: as the device has it
  DpdkPool pool;
};

/// Why a device could not be opened: a sentence, and the key of the configuration.
struct DpdkError {
  char message[768] = "";
  char field[32] = "device";
};

/// What the device turned out to be.
struct DpdkFacts {
  char driver[48] = "";
  std::array<std::uint8_t, 6> link_address{};
  unsigned mtu = 0;
  bool is_dma = false;            ///< it reads and writes the pool's memory itself
  bool checks_checksums = false;  ///< of IP and UDP, for what it receives
  bool spreads = false;           ///< among queues, by RSS
};

struct DpdkLinkState {
  bool is_up = false;
  unsigned speed_mbps = 0;  ///< 0: not known
};

/// A device that was opened; it ends with the object. Queue q is used by one thread at a time.
class DpdkDevice {
 public:
  virtual ~DpdkDevice() = default;
  /// Up to `max` frames, each with its offset and length, and the flag of good checksums.
  virtual unsigned receive(unsigned queue, Packet** frames, unsigned max) noexcept = 0;
  /// Sends frames. Takes ownership of the first n, n being returned.
  virtual unsigned send(unsigned queue, Packet* const* frames, const std::uint16_t* offsets,
                        const std::uint16_t* lengths, unsigned count) noexcept = 0;
  virtual DpdkLinkState link() const noexcept = 0;
  /// Frames that the device had no buffer or no time for, since it was opened. Any thread.
  virtual std::uint64_t missed() const noexcept = 0;
  const DpdkFacts& facts() const noexcept { return facts_; }

 protected:
  DpdkFacts facts_;
};

struct DpdkPlugin {
  std::uint32_t interface;    ///< kDpdkInterface
  std::uint32_t chunk_bytes;  ///< kChunkBytes
  const char* version;        ///< of DPDK
  /// nullptr: `error` says why. The caller deletes the device.
  DpdkDevice* (*open)(const DpdkRequest& request, DpdkError& error) noexcept;
};

/// The name of the one function that the plug-in exports: const DpdkPlugin*().
inline constexpr const char* kDpdkEntry = "sluice_dpdk_plugin";
using DpdkEntry = const DpdkPlugin* (*)();

}  // namespace sluice
