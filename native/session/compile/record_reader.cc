#include "session/compile/record_reader.h"

#include <algorithm>

namespace sluice {
using namespace record;

RecordReader::RecordReader(const std::uint32_t* words, std::size_t bytes) noexcept {
  if (bytes < kHeaderWords * 4 || words[header::Magic] != kMagic) return;
  const std::uint32_t total = words[header::Bytes];
  if (total > bytes || total > kBytesMax || total % 4 != 0) return;
  words_ = words;
  bytes_ = total;
  pdr_ = kHeaderWords;
  far_ = pdr_ + pdrs() * kPdrWords;
  qer_ = far_ + fars() * kFarWords;
  urr_ = qer_ + qers() * kQerWords;
  bar_ = urr_ + urrs() * kUrrWords;
  filter_ = bar_ + bars() * kBarWords;
  bool good = (filter_ + filters() * kFilterWords) * std::size_t{4} <= bytes_ && shadow_in_range();
  for (unsigned i = 0; good && i < pdrs(); ++i) good = pdr_in_range(pdr(i));
  for (unsigned i = 0; good && i < fars(); ++i) good = far_in_range(far(i));
  for (unsigned i = 0; good && i < urrs(); ++i) good = urr_in_range(urr(i));
  for (unsigned i = 0; good && i < filters(); ++i) good = filter_in_range(filter(i));
  if (!good) words_ = nullptr;
}

bool RecordReader::shadow_in_range() const noexcept {
  const std::uint32_t ref = words_[header::Shadow];
  return text(ref).size() == (ref & 0xffff);
}

bool RecordReader::pdr_in_range(const std::uint32_t* p) const noexcept {
  const unsigned qer_count = p[pdr::FTeid] >> 24, urr_count = p[pdr::Filters] >> 24;
  const auto indices = list(p[pdr::Lists] & 0xffff, qer_count + urr_count);
  if (indices.size() != qer_count + urr_count) return false;
  for (unsigned i = 0; i < indices.size(); ++i) {
    if (indices[i] >= (i < qer_count ? qers() : urrs())) return false;
  }
  const std::size_t route_words = std::size_t{p[pdr::Lists] >> 24} * kRouteWords;
  const auto route_list = routes(p);
  if (route_list.size() != route_words) return false;
  for (std::size_t at = 0; at < route_words; at += kRouteWords) {
    if (route_list[at + 1] > (route_list[at] != 0 ? 128u : 32u)) return false;
  }
  return (p[pdr::FTeid] >> 16 & 0xff) < fars() &&
         (p[pdr::Filters] & 0xffff) + (p[pdr::Filters] >> 16 & 0xff) <= filters();
}

bool RecordReader::far_in_range(const std::uint32_t* f) const noexcept {
  const unsigned copies = f[far::UdpPort] >> 24;
  return duplicates(f).size() == copies * std::size_t{kFarWords} &&
         (f[far::UdpPort] >> 16 & 0xff) <= bars();
}

std::span<const std::uint32_t> RecordReader::duplicates(const std::uint32_t* f) const noexcept {
  return word_list(f[far::Duplicates], (f[far::UdpPort] >> 24) * kFarWords);
}

bool RecordReader::urr_in_range(const std::uint32_t* u) const noexcept {
  const auto indices = linked_indices(u);
  if (u[urr::Flags] & urr::kMore) {
    const auto more = urr_more(u);
    if (more.size() != kUrrMoreWords) return false;
    const std::size_t monitor_words = (more[urr_more::Monitors] >> 16) * std::size_t{kMonitorWords};
    if (monitors(u).size() != monitor_words) return false;
  }
  return indices.size() == u[urr::Linked] >> 16 && (u[urr::QuotaFar] & 0xff) <= fars() &&
         std::all_of(indices.begin(), indices.end(), [&](auto i) { return i < urrs(); });
}

bool RecordReader::filter_in_range(const std::uint32_t* f) const noexcept {
  for (const auto ports : {f[filter::SourcePorts], f[filter::DestinationPorts]}) {
    const unsigned ranges = ports >> 16;
    if (word_list(ports & 0xffff, ranges).size() != ranges) return false;
  }
  const std::uint32_t source = f[filter::Protocol] >> 8 & 0xff;
  const std::uint32_t destination = f[filter::Protocol] >> 16 & 0xff;
  return std::max(source, destination) <= 128;
}

std::string_view RecordReader::text(std::uint32_t ref) const noexcept {
  const std::size_t offset = std::size_t{ref >> 16} * 4, length = ref & 0xffff;
  if (offset + length > bytes_) return {};
  return {reinterpret_cast<const char*>(words_) + offset, length};
}

std::span<const std::uint8_t> RecordReader::list(std::uint32_t offset4,
                                                 unsigned count) const noexcept {
  if (std::size_t{offset4} * 4 + count > bytes_) return {};
  return {reinterpret_cast<const std::uint8_t*>(words_) + std::size_t{offset4} * 4, count};
}

std::span<const std::uint32_t> RecordReader::word_list(std::uint32_t offset4,
                                                       unsigned count) const noexcept {
  if ((std::size_t{offset4} + count) * 4 > bytes_) return {};
  return {words_ + offset4, count};
}

std::span<const std::uint8_t> RecordReader::qer_indices(const std::uint32_t* p) const noexcept {
  return list(p[pdr::Lists] & 0xffff, p[pdr::FTeid] >> 24);
}

std::span<const std::uint8_t> RecordReader::urr_indices(const std::uint32_t* p) const noexcept {
  return list(p[pdr::Lists] & 0xffff, (p[pdr::FTeid] >> 24) + (p[pdr::Filters] >> 24))
      .subspan(p[pdr::FTeid] >> 24);
}

std::span<const std::uint32_t> RecordReader::routes(const std::uint32_t* p) const noexcept {
  return word_list(p[pdr::FramedRoutes] & 0xffff, (p[pdr::Lists] >> 24) * kRouteWords);
}

std::span<const std::uint8_t> RecordReader::linked_indices(const std::uint32_t* u) const noexcept {
  return list(u[urr::Linked] & 0xffff, u[urr::Linked] >> 16);
}

std::span<const std::uint32_t> RecordReader::urr_more(const std::uint32_t* u) const noexcept {
  if ((u[urr::Flags] & urr::kMore) == 0) return {};
  return word_list((u[urr::Linked] & 0xffff) + ((u[urr::Linked] >> 16) + 3) / 4, kUrrMoreWords);
}

std::span<const std::uint32_t> RecordReader::monitors(const std::uint32_t* u) const noexcept {
  const auto more = urr_more(u);
  if (more.empty()) return {};
  const std::uint32_t list = more[urr_more::Monitors];
  return word_list(list & 0xffff, (list >> 16) * kMonitorWords);
}

std::optional<std::uint32_t> RecordReader::far_id(std::uint16_t pdr_id,
                                                  std::uint8_t low) const noexcept {
  const auto fits = [low](std::uint32_t id) { return (id & 0xff) == low; };
  for (unsigned i = 0; i < pdrs(); ++i) {
    const std::uint32_t* p = pdr(i);
    if ((p[record::pdr::Id] & 0xffff) != pdr_id) continue;
    const std::uint32_t id = far(p[record::pdr::FTeid] >> 16 & 0xff)[record::far::Id];
    if (fits(id)) return id;
  }
  for (unsigned i = 0; i < fars(); ++i) {
    const std::uint32_t id = far(i)[record::far::Id];
    if (fits(id)) return id;
  }
  return std::nullopt;
}

}  // namespace sluice
