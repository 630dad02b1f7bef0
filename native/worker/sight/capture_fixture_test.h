// A packet path that captures, and a reader of what it has written.
#pragma once
#include "port/capture/capture_file.h"
#include "worker/datapath_fixture_test.h"

namespace sluice::test {

struct Frame {
  unsigned port;
  Bytes bytes;
  std::size_t original;
  bool operator==(const Frame&) const = default;
};

/// @tparam Base  fixture of the packet path.
template <typename Base>
class Capturing : public Base {
 protected:
  unsigned start(const CaptureRequest& request) {
    auto started = this->path_->captures().start(request);
    EXPECT_TRUE(started) << started.error().message;
    content_.clear();
    return started ? started.value() : 0;
  }
  CaptureRead read(unsigned capture) {
    CaptureRead read = this->path_->captures().read(capture);
    content_.insert(content_.end(), read.pcapng.begin(), read.pcapng.end());
    return read;
  }
  /// Ends it and takes the rest.
  CaptureRead stop(unsigned capture) {
    this->path_->captures().stop(capture);
    return read_out(capture);
  }
  CaptureRead read_out(unsigned capture) {
    CaptureRead last;
    do last = read(capture);
    while (last.end == CaptureEnd::Running);
    return last;
  }
  /// What an independent reader finds in all that was read.
  std::vector<Frame> frames() const {
    auto reader = CaptureReader::over(content_, "test");
    EXPECT_TRUE(reader) << reader.error().message;
    std::vector<Frame> out;
    CaptureFrame frame{};
    for (;;) {
      const auto step = reader.value()->next(frame);
      if (step == CaptureReader::Step::End) return out;
      EXPECT_NE(step, CaptureReader::Step::Fault) << reader.value()->error().message;
      if (step == CaptureReader::Step::Fault) return out;
      if (step != CaptureReader::Step::Frame) continue;
      out.push_back(
          {frame.interface, {frame.data, frame.data + frame.length}, frame.original_length});
    }
  }
  /// What is said of each packet, in their order: option 1 of Enhanced Packet Blocks.
  std::vector<std::string> comments() const {
    std::vector<std::string> out;
    const auto word = [&](std::size_t at) {
      std::uint32_t value;
      std::memcpy(&value, content_.data() + at, sizeof(value));
      return value;
    };
    for (std::size_t block = 0; block < content_.size(); block += word(block + 4)) {
      if (word(block) != 6) continue;
      std::size_t option = block + 28 + ((word(block + 20) + 3) & ~3u);
      while ((word(option) & 0xffff) > 1) option += 4 + (((word(option) >> 16) + 3) & ~3u);
      if ((word(option) & 0xffff) == 0) continue;
      out.emplace_back(reinterpret_cast<const char*>(content_.data()) + option + 4,
                       word(option) >> 16);
    }
    return out;
  }
  bool marked(SessionIndex session) const {
    const std::uint16_t up = this->path_->sessions().flows(Direction::Uplink)[session].state.flags;
    const std::uint16_t down =
        this->path_->sessions().flows(Direction::Downlink)[session].state.flags;
    EXPECT_EQ(up & kFlowCapture, down & kFlowCapture);
    return (up & kFlowCapture) != 0;
  }
  bool observed() const { return this->path_->workers()[0]->pipeline().observer() != nullptr; }

  std::vector<std::byte> content_;
};

}  // namespace sluice::test
