// Protections of the packet path for TypeScript (src/datapath/protection-path.ts): convert, call,
// nothing else. JavaScript's thread.
#pragma once
#include <napi.h>

#include "worker/datapath.h"

namespace sluice::addon {

/// ProtectionSettings. Throws.
void set_protection(const Napi::CallbackInfo& info, Datapath& datapath);
/// The number: whether it is gone.
Napi::Value remove_protection(const Napi::CallbackInfo& info, Datapath& datapath);
/// Number, SPI, AssociationUse.
void extend_protection(const Napi::CallbackInfo& info, Datapath& datapath);
Napi::Value protections_settled(const Napi::CallbackInfo& info, Datapath& datapath);
/// The number: AssociationStatus of each.
Napi::Value protection_status(const Napi::CallbackInfo& info, Datapath& datapath);
Napi::Value protection_uses(const Napi::CallbackInfo& info, Datapath& datapath);

}  // namespace sluice::addon
