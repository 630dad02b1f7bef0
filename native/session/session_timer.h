// What a session does when its timer fires: everything of it that is due by now. One timer
// serves all, so that a session costs one node in the wheel. Thread: the session's worker.
#pragma once
#include "session/usage.h"

namespace sluice {

/// Does what is due and sets the timer to what comes next, if anything does. Also called when
/// a change of rules may have brought an earlier deadline.
void session_timer(SessionView& session, Nanoseconds now, EventSink& sink) noexcept;

}  // namespace sluice
