// The part of an AF_XDP port's program that forwards the packets of lent flows where the driver
// received them (lent_flows.h), before anything else is asked: on an access port common G-PDUs to
// lent TEIDs lose their outer header, on a core port packets to lent UE addresses get one. What a
// worker would do by its plain way, and by the same arithmetic.
// Threads: the control thread.
#pragma once
#include "port/afxdp/assembly.h"
#include "port/afxdp/lent_flows.h"
#include "port/port.h"

namespace sluice {

/// Register that holds the program's context, before and behind this part.
inline constexpr unsigned kContextRegister = BPF_REG_6;

/// Falls through with packets that are of no lent flow; nothing has been changed then.
/// @param redirect  where what goes to the worker is redirected to its socket.
void emit_forward_part(Assembly& code, const PortConfig& config, const LentFlows& flows,
                       Assembly::Label redirect);

}  // namespace sluice
