// A packet path of any fixture whose packets are traced, and what the traces say.
#pragma once
#include <optional>
#include <string>
#include <utility>

#include "worker/datapath_fixture_test.h"

namespace sluice::test {

template <class Fixture>
class Tracing : public Fixture {
 protected:
  TraceResult trace(unsigned at, const Bytes& packet) {
    Traces& traces = this->path_->traces();
    auto started = traces.start(packet, static_cast<std::uint8_t>(at));
    EXPECT_TRUE(started);
    std::optional<Result<TraceResult>> taken;
    while (!taken) taken = traces.take(started.value());
    EXPECT_TRUE(*taken);
    text_.clear();
    for (const TraceStep& step : taken->value().steps) {
      text_ += step.stage + ": " + step.decision + "\n";
    }
    return std::move(*taken).value();
  }
  /// Of the last trace.
  void expect_says(const std::string& what) const {
    EXPECT_NE(text_.find(what), std::string::npos) << what << " is not in\n" << text_;
  }

  std::string text_;
};

}  // namespace sluice::test
