#include "session/session_timer.h"

namespace sluice {

void session_timer(SessionView& session, Nanoseconds now, EventSink& sink) noexcept {
  Nanoseconds next = kNever;
  (void)now;
  if (next == kNever) {
    sink.cancel(session.account->timer);
  } else {
    sink.schedule(session.account->timer, next);
  }
}

}  // namespace sluice
