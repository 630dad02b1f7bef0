#include "session/session_timer.h"

namespace sluice {

void session_timer(SessionView& session, Nanoseconds now, EventSink& sink) noexcept {
  const Nanoseconds next = usage_due(session, now, sink);
  if (next == kNever) {
    sink.cancel(session.account->timer);
  } else {
    sink.schedule(session.account->timer, next);
  }
}

}  // namespace sluice
