// Messages to systemd (sd_notify): "READY=1", "STOPPING=1", …
#pragma once
#include <string_view>

namespace tenon::serve {

/// Sends the state to the socket that NOTIFY_SOCKET names; nothing happens without it. Any thread.
void NotifySystem(std::string_view state);

}  // namespace tenon::serve
