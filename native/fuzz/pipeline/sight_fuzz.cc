// A script while somebody looks on: captures begin, are read and end in its midst, and some
// packets are traced before they are sent. A trace changes nothing, and what it says is what
// then happens to the packet. A capture is a file that can be read, with as many packets as it
// says; one of all ports has as many as the ports count.
#include <optional>
#include <string_view>

#include "fuzz/pipeline/script.h"
#include "port/capture/capture_file.h"

namespace sluice::fuzz {
namespace {

constexpr unsigned kTraced = kOperations, kFilm = kOperations + 1, kRead = kOperations + 2,
                   kStop = kOperations + 3, kAllOperations = kOperations + 4;

std::uint64_t dropped_in(const DatapathStatistics& s, std::string_view reason) {
  for (std::size_t r = 1; r < kDropReasons; ++r) {
    if (reason == drop_reason_label(static_cast<DropReason>(r))) return s.dropped[r];
  }
  expect(false);
  return 0;
}

/// All that a packet of the sessions may change.
std::string state() {
  std::string bytes;
  const auto put = [&](const void* from, std::size_t n) {
    bytes.append(static_cast<const char*>(from), n);
  };
  for (unsigned n = 0; n < kSessionsUsed; ++n) {
    const SessionView view = datapath().sessions().view(kSession + n);
    for (Flow* flow : view.flows) put(flow, sizeof(Flow));
    if (view.account != nullptr) put(view.account, view.account->bytes);
  }
  const auto s = datapath().statistics();
  for (const auto& port : s.ports) {
    const std::uint64_t counts[] = {port.counters.rx_packets, port.counters.tx_packets};
    put(counts, sizeof(counts));
  }
  put(s.dropped.data(), sizeof(s.dropped));
  const std::uint64_t rest[] = {s.created, s.held, datapath().pool().available()};
  put(rest, sizeof(rest));
  return bytes;
}

TraceResult trace(std::span<const std::byte> packet, unsigned port) {
  auto started = datapath().traces().start(packet, static_cast<std::uint8_t>(port));
  expect(bool(started));
  std::optional<Result<TraceResult>> taken;
  while (!taken) taken = datapath().traces().take(started.value());
  expect(bool(*taken));
  return std::move(*taken).value();
}

/// Has packets traced before they are sent, where the script says so.
class Onlooker final : public Bench {
 public:
  bool traces = false;

  void inject(unsigned port, const std::byte* bytes, std::size_t n, std::uint8_t flags) override {
    if (!traces || n == 0) return Bench::inject(port, bytes, n, flags);
    step();
    const std::string before = state();
    const TraceResult said = trace({bytes, n}, port);
    expect(state() == before);
    check(said);
    const auto counted = datapath().statistics();
    outputs_.clear();
    // A trace verifies checksums as if no port had.
    Bench::inject(port, bytes, n, 0);
    step();
    compare(said, counted);
  }

 protected:
  void collected(unsigned port, const Packet& packet) override {
    outputs_.push_back(
        {static_cast<std::uint8_t>(port), {packet.data(), packet.data() + packet.length}});
  }

 private:
  static void check(const TraceResult& said) {
    expect(!said.steps.empty() && said.steps[0].stage == "receive");
    for (const TraceStep& step : said.steps) expect(!step.stage.empty() && !step.decision.empty());
    expect(said.verdict == "forwarded" || said.verdict == "answered" || said.verdict == "held" ||
           said.verdict == "dropped");
    expect((said.verdict == "dropped") <= !said.drop_reason.empty());
    expect((said.verdict == "forwarded") <= !said.outputs.empty());
  }
  /// Where nothing that waited had a part in it, all is as the trace has said.
  void compare(const TraceResult& said, const DatapathStatistics& before) {
    const auto after = datapath().statistics();
    if (before.held != 0 || after.held != 0) return;
    if (said.verdict == "forwarded") {
      expect(outputs_.size() == said.outputs.size());
      for (std::size_t i = 0; i < outputs_.size(); ++i) {
        bool found = false;
        for (const TraceOutput& o : said.outputs) {
          found |= o.port == outputs_[i].port && o.bytes == outputs_[i].bytes;
        }
        expect(found);
      }
    } else if (said.verdict == "dropped") {
      expect(dropped_in(after, said.drop_reason) > dropped_in(before, said.drop_reason));
    }
  }
  std::vector<TraceOutput> outputs_;
};

/// What a capture has brought, and what it ought to.
struct Film {
  unsigned number = 0;
  bool whole = false;  ///< of all ports, with drops, without a limit
  std::vector<std::byte> content;
  DatapathStatistics begun;

  void take(const CaptureRead& read) {
    content.insert(content.end(), read.pcapng.begin(), read.pcapng.end());
  }
};

std::string_view comment_of(std::span<const std::byte> file, const CaptureFrame& frame) {
  const auto word = [&](std::size_t at) {
    std::uint32_t value;
    std::memcpy(&value, file.data() + at, sizeof(value));
    return value;
  };
  std::size_t option =
      static_cast<std::size_t>(frame.data - file.data()) + ((frame.length + 3) & ~3ul);
  while ((word(option) & 0xffff) > 1) option += 4 + (((word(option) >> 16) + 3) & ~3u);
  expect((word(option) & 0xffff) == 1);
  return {reinterpret_cast<const char*>(file.data()) + option + 4, word(option) >> 16};
}

void check(const Film& film, const CaptureRead& last, const DatapathStatistics& ended) {
  auto reader = CaptureReader::over(film.content, "film");
  expect(bool(reader));
  CaptureFrame frame{};
  std::uint64_t received[2] = {}, sent[2] = {}, frames = 0;
  for (auto step = reader.value()->next(frame); step != CaptureReader::Step::End;
       step = reader.value()->next(frame)) {
    expect(step != CaptureReader::Step::Fault);
    if (step != CaptureReader::Step::Frame) continue;
    ++frames;
    expect(frame.interface < 2 && frame.length <= frame.original_length);
    const std::string_view comment = comment_of(film.content, frame);
    if (comment.starts_with("received")) ++received[frame.interface];
    const bool refused = comment.ends_with("tx_full");
    if (comment.starts_with("sent") && !refused) ++sent[frame.interface];
  }
  expect(frames == last.packets);
  if (!film.whole || last.lost != 0) return;
  for (unsigned p = 0; p < 2; ++p) {
    const PortCounters &from = film.begun.ports[p].counters, &to = ended.ports[p].counters;
    expect(received[p] == to.rx_packets - from.rx_packets);
    expect(sent[p] == to.tx_packets - from.tx_packets);
  }
}

class Films {
 public:
  void start(Bench& bench, Script& in) {
    const std::uint8_t what = in.byte(), how = in.byte();
    if (films_.size() == kCapturesMax) return;
    bench.step();  // so that the books are those of the moment
    CaptureRequest request;
    request.ports = what >> 2 & 3;
    if (request.ports == 0) request.session = kSession + (what & 3);
    request.drops = (what & 0x10) != 0;
    if (how & 1) request.snap = static_cast<std::uint16_t>(64 + how);
    if (how & 2) request.packets_max = 1 + (how >> 2 & 7);
    Film film;
    film.begun = datapath().statistics();
    film.whole = request.ports == 3 && request.drops && request.packets_max == 0;
    auto started = datapath().captures().start(request);
    expect(bool(started));
    film.number = started.value();
    films_.push_back(std::move(film));
  }
  void read(Script& in) {
    if (films_.empty()) return;
    const std::size_t at = in.byte() % films_.size();
    const CaptureRead read = datapath().captures().read(films_[at].number);
    films_[at].take(read);
    if (read.end != CaptureEnd::Running) end(at, read);
  }
  void stop(Bench& bench, std::size_t at) {
    bench.step();
    datapath().captures().stop(films_[at].number);
    CaptureRead read;
    do {
      read = datapath().captures().read(films_[at].number);
      films_[at].take(read);
    } while (read.end == CaptureEnd::Running);
    end(at, read);
  }
  void stop_all(Bench& bench) {
    while (!films_.empty()) stop(bench, films_.size() - 1);
    expect(datapath().workers()[0]->pipeline().observer() == nullptr);
    expect(datapath().captures().idle());
  }
  std::size_t count() const { return films_.size(); }

 private:
  void end(std::size_t at, const CaptureRead& last) {
    check(films_[at], last, datapath().statistics());
    films_.erase(films_.begin() + static_cast<std::ptrdiff_t>(at));
  }
  std::vector<Film> films_;
};

}  // namespace
}  // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::fuzz;
  static Onlooker bench;
  static const std::uint32_t all = datapath().pool().available();
  Films films;
  for (unsigned s = 0; s < kSessionsUsed; ++s) {
    change(OperationKind::Create, s, size == 0 ? 0 : data[0] >> s & 1);
  }
  Script script{data, size};
  script.byte();
  while (script.left != 0) {
    const unsigned operation = script.byte() % kAllOperations;
    if (operation == kTraced) {
      bench.traces = !bench.traces;
    } else if (operation == kFilm) {
      films.start(bench, script);
    } else if (operation == kRead) {
      films.read(script);
    } else if (operation == kStop) {
      if (films.count() != 0) films.stop(bench, script.byte() % films.count());
    } else {
      operate(bench, script, operation);
    }
  }
  bench.traces = false;
  bench.step();
  films.stop_all(bench);
  clear_away(bench, all);
  return 0;
}
